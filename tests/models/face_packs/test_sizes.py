"""Faces are looked for at fixed sizes, and found as InsightFace itself finds them."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import (
    FaceAnalyser,
    FaceNotFound,
    FacePackRejected,
    find_face_pack,
    open_bundle,
    read_image,
)
from models.quiet import quiet_insightface
from tests.models.face_packs.looking import bright
from tests.models.packs import any_size_detector, save


class TestSizes:
    @pytest.fixture
    def flexible(self, folder: Path) -> Path:
        save(any_size_detector(), folder / "det.onnx")
        return folder

    def test_are_fixed_and_never_automatic(self, flexible: Path, folder: Path) -> None:
        pack = find_face_pack(flexible)
        assert pack.fixed_size is None
        assert pack.settings.detector_sizes == ((640, 640), (320, 320))

    def test_a_detector_of_one_size_has_that_one(self, sources: Path) -> None:
        pack = find_face_pack(sources)
        assert pack.settings.detector_sizes == ((128, 128),)
        other = pack.settings.model_copy(update={"detector_sizes": ((640, 640),)})
        with pytest.raises(FacePackRejected, match="fixed to 128×128"):
            FaceAnalyser.of_pack(pack, other, "cpu").load()

    @pytest.mark.parametrize(
        ("side", "size", "count"),
        [(176, (640, 640), 1), (176, (320, 320), 0), (368, (640, 640), 0), (368, (320, 320), 1)],
    )
    def test_one_size_alone_misses_the_large_or_the_small(
        self, flexible: Path, side: int, size: tuple[int, int], count: int
    ) -> None:
        pack = find_face_pack(flexible)
        alone = pack.settings.model_copy(update={"detector_sizes": (size,)})
        assert len(FaceAnalyser.of_pack(pack, alone, "cpu").analyse(bright(side))) == count

    @pytest.mark.parametrize("side", [176, 368])
    def test_the_usual_ones_find_both(self, flexible: Path, side: int) -> None:
        """At 640 alone InsightFace misses the face that fills a selfie."""
        (found,) = FaceAnalyser.of_pack(find_face_pack(flexible), device="cpu").analyse(
            bright(side)
        )
        middle = (found.box[:2] + found.box[2:]) / 2
        assert np.abs(middle - 320).max() <= 64

    def test_the_faces_are_those_of_insightfaces_own_analysis(self, flexible: Path) -> None:
        for other_file in find_face_pack(flexible).others:
            other_file.path.unlink()  # it would load these too
        with quiet_insightface():
            from insightface.app import FaceAnalysis

            theirs = FaceAnalysis(
                name=str(flexible),
                allowed_modules=["detection", "recognition"],
                providers=["CPUExecutionProvider"],
                static_shape_sessions=False,
            )
            theirs.prepare(ctx_id=0, det_size=[(640, 640), (320, 320)])
        ours = FaceAnalyser.of_pack(find_face_pack(flexible), device="cpu")
        image = np.maximum(bright(368), np.random.default_rng(0).integers(0, 3, (640, 640, 3)))
        image = image.astype(np.uint8)
        (face,) = ours.analyse(image)
        (other,) = theirs.get(np.ascontiguousarray(image[:, :, ::-1]))
        assert np.array_equal(face.embedding, other.normed_embedding)
        assert np.array_equal(face.landmarks, other.kps)
        assert face.score == other.det_score


@pytest.mark.parametrize("name", ["t1.jpg", "Tom_Hanks_54745.png"])
def test_photographs_are_nobody_to_a_bundle_of_drawn_people(name: str, mini_bundle: Path) -> None:
    file = resources.files("insightface.data") / "images" / name
    picture = np.asarray(read_image(file.read_bytes()))
    with pytest.raises(FaceNotFound, match="for photographs"):
        FaceAnalyser(open_bundle(mini_bundle), "cpu").one_face(picture, name=name)


def test_a_picture_of_nothing_has_no_face_and_no_hint_of_another_bundle(sources: Path) -> None:
    analyser = FaceAnalyser.of_pack(find_face_pack(sources), device="cpu")
    black = np.asarray(Image.new("RGB", (200, 100)))
    with pytest.raises(FaceNotFound, match="from the front"):
        analyser.one_face(black)
