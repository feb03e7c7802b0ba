"""Faces are what InsightFace makes of the bundle's pack: found, aligned, embedded, chosen."""

import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from models import (
    Bundle,
    BundleCorrupt,
    Face,
    FaceAnalyser,
    FaceNotFound,
    FacesSettings,
    FaceTooSmall,
    SeveralFaces,
    choose_face,
    faces,
    open_bundle,
)
from models.images import MAX_PIXELS

TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def analyser(bundle: Bundle) -> FaceAnalyser:
    return FaceAnalyser(bundle, device="cpu")


@pytest.fixture
def repacked(tiny_bundle: Path, tmp_path: Path) -> Callable[[], Bundle]:
    """A copy whose pack a test may spoil; opened without its sizes being checked."""
    shutil.copytree(tiny_bundle / "faces", tmp_path / "faces")
    manifest = open_bundle(tiny_bundle).manifest
    return lambda: Bundle("spoiled", tmp_path, manifest)


def photo(height: int = 256, width: int = 256, seed: int = 0) -> np.ndarray:
    """Smooth colours, bright everywhere."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 256, (8, 8, 3))
    rows = np.arange(height) * 8 // height
    columns = np.arange(width) * 8 // width
    return coarse[rows][:, columns].astype(np.uint8)


def face(x0: float = 0, y0: float = 0, x1: float = 60, y1: float = 80) -> Face:
    return Face(
        np.array([x0, y0, x1, y1], np.float32),
        0.9,
        np.zeros((5, 2), np.float32),
        np.zeros(512, np.float32),
    )


def aligned(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The 112² crop by a least-squares similarity, written without InsightFace or OpenCV."""
    ones, zeros = np.ones(5), np.zeros(5)
    x, y = landmarks[:, 0].astype(np.float64), landmarks[:, 1].astype(np.float64)
    rows = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    a, b, u, v = np.linalg.lstsq(rows, TEMPLATE.T.reshape(-1), rcond=None)[0]
    inverse = np.linalg.inv(np.array([[a, -b], [b, a]]))
    grid = np.stack(np.meshgrid(np.arange(112), np.arange(112)), -1).reshape(-1, 2)
    source = (grid - [u, v]) @ inverse.T
    low = np.floor(source).astype(int)
    part = source - low
    padded = np.pad(image.astype(np.float64), ((1, 2), (1, 2), (0, 0)))
    size = np.array([image.shape[1], image.shape[0]])
    crop = np.zeros((112 * 112, 3))
    for dx in (0, 1):
        for dy in (0, 1):
            at = np.clip(low + np.array([dx, dy]), -1, size) + 1
            weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            crop += weight[:, None] * padded[at[:, 1], at[:, 0]]
    return crop.reshape(112, 112, 3)


class TestAnalysing:
    def test_one_face_where_the_detector_puts_it(self, analyser: FaceAnalyser) -> None:
        (found,) = analyser.analyse(photo())
        assert found.box.tolist() == [48, 32, 208, 224]
        assert found.landmarks.tolist() == [
            [92, 104], [164, 104], [128, 144], [100, 180], [156, 180],
        ]  # fmt: skip
        assert found.score > 0.99
        assert found.size == 160

    def test_shapes_and_types_are_as_promised(self, analyser: FaceAnalyser) -> None:
        (found,) = analyser.analyse(photo())
        for array, shape in (
            (found.box, (4,)),
            (found.landmarks, (5, 2)),
            (found.embedding, (512,)),
        ):
            assert array.shape == shape
            assert array.dtype == np.float32
            assert not array.flags.writeable
        assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-5)
        assert "embedding" not in repr(found)

    def test_the_embedding_is_the_recognisers_own_on_the_aligned_crop(
        self, analyser: FaceAnalyser, bundle: Bundle
    ) -> None:
        image = photo(300, 260, seed=3)
        (found,) = analyser.analyse(image)
        crop = aligned(image, found.landmarks)
        blob = ((crop - 127.5) / 127.5).transpose(2, 0, 1)[None].astype(np.float32)
        session = onnxruntime.InferenceSession(
            bundle.directory / "faces" / "rec.onnx", providers=["CPUExecutionProvider"]
        )
        (expected,) = session.run(None, {"image": blob})
        expected = expected[0] / np.linalg.norm(expected)
        assert float(expected @ found.embedding) > 0.9999

    def test_channels_are_red_green_blue(self, analyser: FaceAnalyser) -> None:
        image = photo(seed=5)
        (first,), (second,) = analyser.analyse(image), analyser.analyse(image[..., ::-1])
        assert float(first.embedding @ second.embedding) < 0.99

    def test_faces_are_numbered_from_the_left(self, analyser: FaceAnalyser) -> None:
        found = analyser.analyse(photo(200, 400))
        assert [float(one.box[0]) for one in found] == [25, 225]

    def test_a_dark_picture_has_no_face(self, analyser: FaceAnalyser) -> None:
        assert analyser.analyse(np.zeros((128, 128, 3), np.uint8)) == ()

    @pytest.mark.parametrize(("height", "width"), [(16, 4000), (4000, 16)])
    def test_a_ribbon_has_no_face(self, analyser: FaceAnalyser, height: int, width: int) -> None:
        assert analyser.analyse(photo(height, width)) == ()

    def test_boxes_stay_in_the_picture(self, analyser: FaceAnalyser) -> None:
        found = analyser.analyse(photo(130, 240))
        assert found
        for one in found:
            assert (one.box >= 0).all()
            assert (one.box <= [240, 130, 240, 130]).all()

    @pytest.mark.parametrize("image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32)])
    def test_arrays_of_another_kind_are_refused(
        self, analyser: FaceAnalyser, image: np.ndarray
    ) -> None:
        with pytest.raises(ValueError, match="read_image"):
            analyser.analyse(image)

    def test_threads_share_it(self, analyser: FaceAnalyser) -> None:
        images = [photo(seed=seed) for seed in range(4)]
        alone = [analyser.analyse(image)[0].embedding for image in images]
        together: dict[int, np.ndarray] = {}

        def work(index: int) -> None:
            together[index] = analyser.analyse(images[index])[0].embedding

        threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(np.array_equal(together[index], alone[index]) for index in range(4))

    def test_a_long_strip_does_not_fill_the_memory(
        self, analyser: FaceAnalyser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = analyser.analyse(photo(300, 640))
        shapes = []

        def squared(image: np.ndarray) -> np.ndarray:
            shapes.append(image.shape)
            return as_before(image)

        as_before = faces._squared
        monkeypatch.setattr(faces, "_squared", squared)
        monkeypatch.setattr(faces, "LARGEST_SIDE", 320)
        shrunk = analyser.analyse(photo(300, 640))
        assert shapes == [(150, 320, 3)]
        assert len(shrunk) == len(whole) == 2
        for one, other in zip(shrunk, whole, strict=True):
            np.testing.assert_allclose(one.box, other.box, atol=2)
            np.testing.assert_allclose(one.landmarks, other.landmarks, atol=2)

    def test_the_square_of_the_largest_side_is_no_larger_than_a_picture_may_be(self) -> None:
        assert faces.LARGEST_SIDE**2 <= MAX_PIXELS < (faces.LARGEST_SIDE + 1) ** 2

    def test_what_others_print_meanwhile_is_not_swallowed(
        self, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fresh = FaceAnalyser(bundle, device="cpu")
        fresh.load()
        streams = []

        def squared(image: np.ndarray) -> np.ndarray:
            streams.append(sys.stdout)
            return as_before(image)

        as_before = faces._squared
        monkeypatch.setattr(faces, "_squared", squared)
        fresh.analyse(photo())
        assert streams == [sys.stdout]

    def test_standard_output_is_not_lost_when_two_load_at_once(self, bundle: Bundle) -> None:
        before = sys.stdout
        threads = [
            threading.Thread(target=FaceAnalyser(bundle, device="cpu").analyse, args=(photo(),))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sys.stdout is before

    def test_the_library_says_nothing(
        self, bundle: Bundle, capfd: pytest.CaptureFixture[str]
    ) -> None:
        fresh = FaceAnalyser(bundle, device="cpu")
        fresh.analyse(photo())
        assert capfd.readouterr() == ("", "")


class TestDigest:
    def test_equal_for_equal_packs(self, bundle: Bundle, analyser: FaceAnalyser) -> None:
        assert FaceAnalyser(bundle, device="cpu").digest == analyser.digest

    @pytest.mark.parametrize(
        "change",
        [
            {"score_threshold": 0.6},
            {"overlap_threshold": 0.5},
            {"detector_sizes": ((256, 256),)},
            {"smallest_face": 8},
            {"embedding_norms": (1.0, 2.0)},
        ],
    )
    def test_every_threshold_is_in_it(
        self, bundle: Bundle, analyser: FaceAnalyser, change: dict[str, object]
    ) -> None:
        """A face store keyed by pixels alone returned old faces after a threshold had changed."""
        faces = FacesSettings(**{**dict(analyser.settings), **change})  # type: ignore[arg-type]
        manifest = bundle.manifest.model_copy(update={"faces": faces})
        other = FaceAnalyser(Bundle(bundle.name, bundle.directory, manifest), device="cpu")
        assert other.digest != analyser.digest


class TestThresholds:
    def test_the_manifest_sets_the_detectors(self, bundle: Bundle) -> None:
        faces = FacesSettings(detector_sizes=((128, 128),), score_threshold=0.9999999)
        manifest = bundle.manifest.model_copy(update={"faces": faces})
        strict = FaceAnalyser(Bundle("strict", bundle.directory, manifest), device="cpu")
        dim = np.full((100, 80, 3), 16, np.uint8)
        assert FaceAnalyser(bundle, device="cpu").analyse(dim)
        assert strict.analyse(dim) == ()

    def test_a_face_of_another_kind_is_none(self, bundle: Bundle, analyser: FaceAnalyser) -> None:
        """A photograph whose face the detector finds and the recogniser was never taught."""
        (found,) = analyser.analyse(photo())
        for norms, count in (((0.0, 2 * found.norm), 1), ((1.1 * found.norm, 1e9), 0)):
            faces = analyser.settings.model_copy(update={"embedding_norms": norms})
            manifest = bundle.manifest.model_copy(update={"faces": faces})
            other = FaceAnalyser(Bundle("other", bundle.directory, manifest), device="cpu")
            assert len(other.analyse(photo())) == count
        with pytest.raises(FaceNotFound, match="for photographs"):
            other.one_face(photo())


class TestChoosing:
    def test_the_only_one(self) -> None:
        only = face()
        assert choose_face([only], None, "a.png") is only
        assert choose_face([only], 1, "a.png") is only

    def test_none_carries_the_bundles_hint(self, analyser: FaceAnalyser) -> None:
        with pytest.raises(FaceNotFound) as caught:
            analyser.one_face(np.zeros((128, 128, 3), np.uint8), name="holiday.jpg")
        assert str(caught.value) == (
            f"holiday.jpg shows no face of {analyser.settings.smallest_face} pixels or more; "
            "this bundle draws drawn people; "
            "for photographs: limner models pull sd15-faceid"
        )

    def test_none_without_a_hint_still_helps(self) -> None:
        with pytest.raises(FaceNotFound, match="from the front"):
            choose_face([], None, "a.png")

    def test_several_are_listed_with_their_boxes(self) -> None:
        several = [face(0, 0, 60, 80), face(100.4, 20.6, 160, 90)]
        with pytest.raises(SeveralFaces) as caught:
            choose_face(several, None, "a.png")
        assert str(caught.value) == (
            "a.png shows 2 faces: 1 [0 0 60 80], 2 [100 21 160 90]; --face 2 chooses the second"
        )
        assert choose_face(several, 2, "a.png") is several[1]

    @pytest.mark.parametrize("number", [0, -1, 3])
    def test_a_number_that_is_not_there(self, number: int) -> None:
        with pytest.raises(FaceNotFound, match=f"2 faces, there is no face {number}; "):
            choose_face([face(), face()], number, "a.png")

    def test_a_tiny_one(self, analyser: FaceAnalyser) -> None:
        with pytest.raises(FaceTooSmall, match="10 pixels across, at least 24"):
            choose_face([face(5, 5, 15, 30)], None, "a.png", smallest_face=24)
        with pytest.raises(FaceTooSmall, match="closer picture"):
            analyser.one_face(photo(30, 30))


class TestSpoiledPacks:
    def spoil(self, repacked: Callable[[], Bundle], words: str) -> None:
        with pytest.raises(BundleCorrupt, match=words) as caught:
            FaceAnalyser(repacked(), device="cpu").load()
        assert "\n" not in str(caught.value)

    def test_no_detector(self, repacked: Callable[[], Bundle], tmp_path: Path) -> None:
        (tmp_path / "faces" / "det.onnx").unlink()
        self.spoil(repacked, "no detector")

    def test_no_recogniser(self, repacked: Callable[[], Bundle], tmp_path: Path) -> None:
        (tmp_path / "faces" / "rec.onnx").unlink()
        self.spoil(repacked, "no recogniser")

    def test_a_damaged_file(self, repacked: Callable[[], Bundle], tmp_path: Path) -> None:
        (tmp_path / "faces" / "rec.onnx").write_bytes(os.urandom(2000))
        self.spoil(repacked, "no whole ONNX file")

    def test_an_empty_pack(self, repacked: Callable[[], Bundle], tmp_path: Path) -> None:
        for file in (tmp_path / "faces").iterdir():
            file.unlink()
        self.spoil(repacked, "holds no ")

    def test_a_detector_of_another_size(
        self, repacked: Callable[[], Bundle], tmp_path: Path
    ) -> None:
        spoiled = repacked()
        faces = FacesSettings(detector_sizes=((640, 640),))
        manifest = spoiled.manifest.model_copy(update={"faces": faces})
        self.spoil(lambda: Bundle("spoiled", tmp_path, manifest), "fixed to 128×128")

    def test_a_recogniser_of_another_width(
        self, repacked: Callable[[], Bundle], tmp_path: Path
    ) -> None:
        from tests.tiny import tiny_projection

        narrow = tiny_projection(np.random.default_rng(0), 112, 14, 128, "embedding")
        onnx.save(narrow, tmp_path / "faces" / "rec.onnx")
        self.spoil(repacked, "128 outputs, FaceID takes 512")
