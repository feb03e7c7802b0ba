"""Everything that changes what an analyser sees is in its digest."""

import shutil
from pathlib import Path

import pytest

from fusion.stages.analyse import analyse, face_store
from fusion.stages.photos import Photo, Photos
from fusion.task import Reference, Role
from fusion.trace import Notes
from models import (
    FaceAnalyser,
    FaceNotFound,
    SeveralFaces,
    find_face_pack,
    open_bundle,
    recogniser_warning,
)
from tests.models.face_packs.looking import bright
from tests.models.packs import any_size_detector, recogniser, save


class TestDigest:
    def test_is_of_the_two_files_in_use_wherever_they_lie(
        self, sources: Path, folder: Path
    ) -> None:
        (folder / "genderage.onnx").unlink()
        (folder / "det.onnx").rename(folder / "another.onnx")
        assert find_face_pack(folder).digest == find_face_pack(sources).digest
        save(recogniser(seed=1), folder / "rec.onnx")
        assert find_face_pack(folder).digest != find_face_pack(sources).digest

    @pytest.mark.parametrize(
        "change",
        [
            {"score_threshold": 0.6},
            {"overlap_threshold": 0.5},
            {"detector_sizes": ((640, 640),)},
            {"detector_sizes": ((640, 640), (320, 320))},
        ],
    )
    def test_every_size_and_threshold_is_in_the_analysers(
        self, sources: Path, change: dict[str, object]
    ) -> None:
        pack = find_face_pack(sources)
        one = FaceAnalyser.of_pack(pack, device="cpu")
        assert one.digest == FaceAnalyser.of_pack(pack, device="cpu").digest
        other = pack.settings.model_copy(update=change)
        assert FaceAnalyser.of_pack(pack, other, "cpu").digest != one.digest

    def test_the_librarys_version_is_in_it(
        self, sources: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pack = find_face_pack(sources)
        before = FaceAnalyser.of_pack(pack, device="cpu").digest
        monkeypatch.setattr("models.faces.version", lambda name: "9.9")
        assert FaceAnalyser.of_pack(pack, device="cpu").digest != before

    @pytest.mark.parametrize("change", ["threshold", "size", "detector"])
    def test_a_changed_detector_does_not_get_the_old_faces(
        self, folder: Path, change: str, sources: Path
    ) -> None:
        """FaceFusion's face store knows the picture alone, and keeps what it found before."""
        save(any_size_detector(), folder / "det.onnx")
        store = face_store(1 << 20)
        reference = Reference(Role.IDENTITY, "a.png", "0" * 64)
        photos = Photos((Photo(reference, bright(176)),), None)

        def faces(analyser: FaceAnalyser) -> int:
            return analyse(photos, [0], 0, analyser, store, Notes()).analysed

        pack = find_face_pack(folder)
        first = FaceAnalyser.of_pack(pack, device="cpu")
        assert [faces(first), faces(first)] == [1, 0]
        changes = {
            "threshold": {"score_threshold": 0.999999},
            "size": {"detector_sizes": ((320, 320),)},
        }
        if change == "detector":  # which sees two faces there
            shutil.copy(sources / "det.onnx", folder / "det.onnx")
            other = FaceAnalyser.of_pack(find_face_pack(folder), device="cpu")
        else:
            other = FaceAnalyser.of_pack(
                pack, pack.settings.model_copy(update=changes[change]), "cpu"
            )
        with pytest.raises((FaceNotFound, SeveralFaces)):
            faces(other)
        assert faces(first) == 0, "the first one's are still remembered"


class TestRecogniser:
    def test_the_bundles_own_under_any_name_is_no_cause_to_warn(
        self, tiny_bundle: Path, folder: Path
    ) -> None:
        shutil.copy(tiny_bundle / "faces" / "rec.onnx", folder / "rec.onnx")
        assert recogniser_warning(find_face_pack(folder), open_bundle(tiny_bundle)) == ""

    def test_another_is_told(self, tiny_bundle: Path, folder: Path) -> None:
        save(recogniser(seed=9), folder / "rec.onnx")
        warning = recogniser_warning(find_face_pack(folder), open_bundle(tiny_bundle))
        assert "rec.onnx of face pack 'small'" in warning
        assert "\n" not in warning
