"""Any InsightFace pack is found, told apart, used with fixed sizes, or refused in one line."""

import contextlib
import ctypes
import os
import shutil
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fusion.stages.analyse import analyse, face_store
from fusion.stages.photos import Photo, Photos
from fusion.task import Reference, Role
from fusion.trace import Notes
from models import (
    BundleCorrupt,
    FaceAnalyser,
    FaceNotFound,
    FacePackRejected,
    NetworkKind,
    SeveralFaces,
    find_face_pack,
    open_bundle,
    read_image,
    recogniser_warning,
)
from models.face_graphs import read_graph
from models.quiet import quiet_insightface
from tests.models.packs import any_size_detector, recogniser, save, shaped
from tests.tiny import tiny_detector


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole pack, with everything that lies in buffalo_l."""
    folder = tmp_path_factory.mktemp("packs") / "small"
    save(tiny_detector(), folder / "det.onnx")
    save(recogniser(), folder / "rec.onnx")
    save(shaped({"data": [1, 3, 192, 192]}, {"fc1": [1, 212]}), folder / "2d106det.onnx")
    save(shaped({"data": ["n", 3, 96, 96]}, {"fc1": [1, 3]}), folder / "genderage.onnx")
    swapper = shaped({"target": [1, 3, 128, 128], "source": [1, 512]}, {"o": [1, 3, 128, 128]})
    save(swapper, folder / "inswapper_128.onnx")
    return folder


@pytest.fixture
def folder(sources: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(sources, tmp_path / "small"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("INSIGHTFACE_HOME", raising=False)
    return tmp_path / "home"


def refusal(name_or_place: str | Path) -> str:
    with pytest.raises(FacePackRejected) as caught:
        find_face_pack(name_or_place)
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message, "says what to do"
    return message


def bright(side: int, x: int = 0, y: int = 0, size: tuple[int, int] = (640, 640)) -> np.ndarray:
    """A bright square on black, which the detector of any size takes for a face."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - side) // 2 + x, (size[1] - side) // 2 + y
    image[top : top + side, left : left + side] = 255
    return image


class TestFinding:
    def test_a_folder(self, folder: Path) -> None:
        pack = find_face_pack(folder)
        assert (pack.name, pack.directory) == ("small", folder)
        assert pack.detector.path.name == "det.onnx"
        assert pack.recogniser.path.name == "rec.onnx"

    def test_every_network_is_told_by_its_graph(self, folder: Path) -> None:
        kinds = {file.path.name: file.kind for file in find_face_pack(str(folder)).others}
        assert kinds == {
            "2d106det.onnx": NetworkKind.LANDMARKS,
            "genderage.onnx": NetworkKind.ATTRIBUTES,
            "inswapper_128.onnx": NetworkKind.SWAPPER,
        }

    @pytest.mark.parametrize("inner", ["antelopev2", "antelopev2/antelopev2", "models/buffalo_l"])
    def test_as_deep_as_archives_unpack(self, folder: Path, tmp_path: Path, inner: str) -> None:
        """antelopev2's archive holds a folder of its own, and the library finds no model in it."""
        shutil.move(folder, tmp_path / "given" / inner)
        pack = find_face_pack(tmp_path / "given")
        assert pack.directory == tmp_path / "given" / inner
        FaceAnalyser.of_pack(pack, device="cpu").load()

    def test_several_below_are_listed(self, folder: Path, tmp_path: Path) -> None:
        for name in ("a", "b"):
            shutil.copytree(folder, tmp_path / "root" / "models" / name)
        message = refusal(tmp_path / "root")
        assert "2 packs: models/a, models/b" in message
        assert find_face_pack(tmp_path / "root" / "models" / "b").name == "b"

    @pytest.mark.parametrize("place", [".insightface/models/mine", ".insightface/models/mine/mine"])
    def test_a_name_under_the_home(self, folder: Path, home: Path, place: str) -> None:
        shutil.move(folder, home / place)
        assert find_face_pack("mine").directory == home / place

    @pytest.mark.parametrize("place", ["models/mine", "mine"])
    def test_a_name_under_the_users_own_root_first(
        self,
        folder: Path,
        home: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        place: str,
    ) -> None:
        shutil.copytree(folder, home / ".insightface" / "models" / "mine")
        shutil.move(folder, tmp_path / "roots" / place)
        monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "roots"))
        assert find_face_pack("mine").directory == tmp_path / "roots" / place

    def test_a_name_in_the_working_directory(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder.parent)
        assert find_face_pack("small").detector.path == Path("small/det.onnx")

    def test_a_bundle_by_name_and_by_directory_with_its_settings(
        self, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIMNER_BUNDLES", str(tiny_bundle.parent))
        for given_name in ("tiny", str(tiny_bundle)):
            pack = find_face_pack(given_name)
            assert pack.directory == tiny_bundle / "faces"
            assert pack.settings == open_bundle(tiny_bundle).manifest.faces

    def test_hidden_files_of_other_systems_are_passed_over(self, folder: Path) -> None:
        (folder / "._rec.onnx").write_bytes(b"\0\5\x16\7")
        (folder / "__MACOSX").mkdir()
        find_face_pack(folder)

    def test_an_unknown_name_says_where_it_was_looked_for(self, home: Path) -> None:
        message = refusal("buffalo_l")
        assert str(home / ".insightface" / "models") in message
        assert "INSIGHTFACE_HOME" in message
        assert not home.exists(), "the library would have made it and begun to fetch"

    @pytest.mark.parametrize("name", ["/no/such/folder", "~/nothing", "", "a/b"])
    def test_a_folder_that_is_not_there(self, name: str) -> None:
        assert "there is no" in refusal(name)


class TestRefusals:
    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert "holds no *.onnx" in refusal(tmp_path)

    def test_an_archive(self, tmp_path: Path) -> None:
        (tmp_path / "buffalo_l.zip").write_bytes(b"PK\3\4")
        assert "unpack it" in refusal(tmp_path / "buffalo_l.zip")

    @pytest.mark.parametrize(("name", "kind"), [("det", "detector"), ("rec", "recogniser")])
    def test_one_of_the_two_is_missing(self, folder: Path, name: str, kind: str) -> None:
        (folder / f"{name}.onnx").unlink()
        message = refusal(folder)
        assert f"has no {kind}" in message
        assert "genderage.onnx (gender and age)" in message

    @pytest.mark.parametrize("name", ["det", "rec"])
    def test_two_of_a_kind_until_one_is_named(self, folder: Path, name: str) -> None:
        """The library takes the first by name and says nothing."""
        shutil.copy(folder / f"{name}.onnx", folder / f"{name}_2.onnx")
        assert f"{name}.onnx, {name}_2.onnx; name the one" in refusal(folder)
        pack = find_face_pack(folder / f"{name}_2.onnx")
        assert f"{name}_2.onnx" in (pack.detector.path.name, pack.recogniser.path.name)

    def test_a_network_that_is_neither(self, folder: Path) -> None:
        assert "neither a detector" in refusal(folder / "genderage.onnx")

    def test_a_detector_without_points(self, folder: Path) -> None:
        outputs = {f"o{k}": [1, 3, 64, 64] for k in range(6)}
        save(shaped({"data": [1, 3, 64, 64]}, outputs), folder / "det.onnx")  # type: ignore[arg-type]
        assert "without points" in refusal(folder)

    def test_a_recogniser_of_another_width(self, folder: Path) -> None:
        save(recogniser(width=128), folder / "rec.onnx")
        assert "128 outputs, FaceID takes 512" in refusal(folder)

    @pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
    def test_a_file_cut_short(self, folder: Path, share: float) -> None:
        data = (folder / "rec.onnx").read_bytes()
        (folder / "rec.onnx").write_bytes(data[: int(len(data) * share)])
        message = refusal(folder)
        assert str(folder / "rec.onnx") in message
        assert "cut short" in message

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "is empty"),
            (b"<!DOCTYPE html><html>", "no whole ONNX file"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 174383860\n", "lfs"),
            (os.urandom(3000), "no whole ONNX file"),
        ],
    )
    def test_a_file_that_is_no_network(self, folder: Path, data: bytes, words: str) -> None:
        (folder / "rec.onnx").write_bytes(data)
        message = refusal(folder)
        assert str(folder / "rec.onnx") in message
        assert words in message

    def test_a_link_to_nowhere(self, folder: Path) -> None:
        (folder / "rec.onnx").unlink()
        (folder / "rec.onnx").symlink_to("gone.onnx")
        assert "cannot be read" in refusal(folder)

    def test_the_second_form_of_packs(self, folder: Path) -> None:
        (folder / "manifest.json").write_text('{"manifest_version": 2}', encoding="utf-8")
        assert "second form" in refusal(folder)

    def test_weights_that_are_no_network_inside(self, folder: Path) -> None:
        """The graph is well described, and ONNX Runtime cannot run it."""
        broken = recogniser()
        broken.graph.node[0].op_type = "NoSuchOperation"
        save(broken, folder / "rec.onnx")
        with pytest.raises(FacePackRejected, match=r"rec\.onnx does not work") as caught:
            FaceAnalyser.of_pack(find_face_pack(folder), device="cpu").load()
        assert "\n" not in str(caught.value)

    def test_what_is_wrong_with_a_bundles_pack_is_wrong_with_the_bundle(
        self, tiny_bundle: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(tiny_bundle, tmp_path / "tiny")
        bundle = open_bundle(tmp_path / "tiny")
        (tmp_path / "tiny" / "faces" / "det.onnx").unlink()
        with pytest.raises(BundleCorrupt, match=r"no detector .*; restore the bundle 'tiny'"):
            FaceAnalyser(bundle, "cpu").load()


class TestGraphs:
    def test_as_the_onnx_library_reads_them(self, sources: Path) -> None:
        for file in sources.iterdir():
            model, graph = onnx.load(file), read_graph(file)
            parts = (model.graph.input, graph.inputs), (model.graph.output, graph.outputs)
            for values, shapes in parts:
                expected = tuple(
                    tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)
                    for value in values
                )
                assert shapes == expected

    def test_weights_among_the_inputs_are_no_inputs(self, tmp_path: Path) -> None:
        """As MXNet's exports have it; a recogniser then seems to take hundreds of pictures."""
        model = shaped(
            {"data": [1, 3, 112, 112], "w": [3, 4]}, {"fc1": [1, 512]}, weights=("w",)
        )  # fmt: skip
        assert read_graph(save(model, tmp_path / "old.onnx")).inputs == ((1, 3, 112, 112),)

    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
    def test_damage_anywhere_gives_a_graph_or_a_refusal(
        self, sources: Path, tmp_path: Path, at: int, junk: bytes
    ) -> None:
        data = bytearray((sources / "det.onnx").read_bytes())
        at %= len(data)
        data[at : at + len(junk)] = junk
        file = tmp_path / "damaged.onnx"
        file.write_bytes(data)
        with contextlib.suppress(FacePackRejected):
            assert read_graph(file).outputs


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


class TestStandardOutput:
    def test_neither_loading_nor_analysing_writes_to_it(
        self, sources: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        analyser = FaceAnalyser.of_pack(find_face_pack(sources), device="cpu")
        analyser.load()
        assert analyser.analyse(np.full((256, 256, 3), 200, np.uint8))
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("write", ["python", "descriptor", "c"])
    def test_what_a_library_writes_while_it_loads_is_kept_out_of_ours(
        self,
        sources: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        write: str,
    ) -> None:
        """A C library's text waits in its own buffer, and came out in the middle of our JSON."""
        import insightface.model_zoo

        writers: dict[str, Callable[[], object]] = {
            "python": lambda: print("find model"),
            "descriptor": lambda: os.write(1, b"find model"),
            "c": lambda: ctypes.CDLL(None).printf(b"find model"),
        }
        as_before = insightface.model_zoo.get_model

        def chatty(*arguments: object, **options: object) -> object:
            writers[write]()
            return as_before(*arguments, **options)

        monkeypatch.setattr(insightface.model_zoo, "get_model", chatty)
        sys.stdout.write("{")
        FaceAnalyser.of_pack(find_face_pack(sources), device="cpu").load()
        print("}", flush=True)
        ctypes.CDLL(None).fflush(None)
        assert capfd.readouterr().out == "{}\n"


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
