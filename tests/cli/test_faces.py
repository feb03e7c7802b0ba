"""`limner faces`: any pack, several photos, pictures that can be read, JSON that is whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import run
from cli.face_marks import LEAST_SIDE, mark_faces
from models import Face
from tests.models.packs import any_size_detector, recogniser, save

Shown = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs") / "mine"
    save(any_size_detector(), folder / "mine" / "det.onnx")
    save(recogniser(), folder / "mine" / "rec.onnx")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, side in (("near", 368), ("far", 176), ("none", 0)):
        pixels = np.zeros((640, 640, 3), np.uint8)
        pixels[320 - side // 2 : 320 + side // 2, 320 - side // 2 : 320 + side // 2] = 255
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def face(left: float, top: float, width: float, height: float) -> Face:
    shares = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    box = np.array([left, top, left + width, top + height], np.float32)
    points = (shares * [width, height] + [left, top]).astype(np.float32)
    return Face(box, 0.9, points, np.zeros(512, np.float32))


def faces(capsys: Shown, *options: object) -> list[dict[str, object]]:
    assert run(["faces", *map(str, options), "--json"]) == 0
    told: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return told


class TestPacks:
    def test_a_folder_finds_near_and_far(self, pack: Path, photos: Path, capsys: Shown) -> None:
        told = faces(capsys, photos / "near.png", photos / "far.png", "--pack", pack)
        assert [(Path(str(one["photo"])).name, one["face"]) for one in told] == [
            ("near.png", 1),
            ("far.png", 1),
        ]

    def test_a_name(
        self, pack: Path, photos: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("INSIGHTFACE_HOME", str(pack.parent))
        assert len(faces(capsys, photos / "near.png", "--pack", "mine")) == 1

    def test_size_and_threshold_are_obeyed(self, pack: Path, photos: Path, capsys: Shown) -> None:
        options = ["faces", str(photos / "near.png"), "--pack", str(pack)]
        assert run([*options, "--detector-size", "640"]) == 2
        assert run([*options, "--detector-size", "320"]) == 0
        assert run([*options, "--detector-size", "640", "--detector-size", "320"]) == 0
        assert run([*options, "--threshold", "0.999999"]) == 2
        assert "Traceback" not in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--detector-size", "100"], "multiple of 32"),
            (["--detector-size", "0"], "multiple of 32"),
            (["--threshold", "1.5"], "between 0 and 1"),
            (["--threshold", "nan"], "between 0 and 1"),
            (["--pack", "no-such-pack"], "no face pack"),
            (["--pack", "/no/such"], "no folder"),
        ],
    )
    def test_what_cannot_be_is_one_line(
        self, photos: Path, tmp_path: Path, capsys: Shown, options: list[str], words: str
    ) -> None:
        output = tmp_path / "out.png"
        assert run(["faces", str(photos / "far.png"), *options, "-o", str(output)]) == 2
        shown = capsys.readouterr()
        assert (shown.out, shown.err.count("\n")) == ("", 1)
        assert words in shown.err
        assert not output.exists()

    def test_a_bundles_threshold_can_be_changed_too(
        self, tiny_bundle: Path, tmp_path: Path, capsys: Shown
    ) -> None:
        photo = tmp_path / "dim.png"
        Image.new("RGB", (256, 256), (16, 16, 16)).save(photo)
        options = ["faces", str(photo), "--bundle", str(tiny_bundle)]
        assert run(options) == 0
        assert run([*options, "--threshold", "0.9999999"]) == 2
        assert run([*options, "--detector-size", "640"]) == 2
        assert "fixed to 128×128" in capsys.readouterr().err


class TestTelling:
    def test_json_has_everything(self, pack: Path, photos: Path, capsys: Shown) -> None:
        (one,) = faces(capsys, photos / "far.png", "--pack", pack)
        x0, y0, x1, y1 = one["box"]  # type: ignore[misc]
        assert one["size"] == pytest.approx([x1 - x0, y1 - y0], abs=0.02)
        assert one["large_enough"] is True
        assert one["smallest_face"] == 32
        assert 0.5 <= one["score"] <= 1  # type: ignore[operator]
        assert np.shape(one["landmarks"]) == (5, 2)  # type: ignore[arg-type]
        assert one["embedding_norm"] > 0  # type: ignore[operator]

    def test_json_is_all_there_is_on_standard_output(
        self, pack: Path, photos: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["faces", str(photos / "far.png"), "--pack", str(pack), "--json"]) == 0
        shown = capfd.readouterr()
        assert json.loads(shown.out)
        assert shown.err == ""

    def test_a_face_too_small_is_told(
        self, tmp_path: Path, capsys: Shown, tiny_bundle: Path
    ) -> None:
        photo = tmp_path / "small.png"
        Image.new("RGB", (24, 24), "white").save(photo)
        assert run(["faces", str(photo), "--bundle", str(tiny_bundle)]) == 0
        assert "no, under 24 pixels" in capsys.readouterr().out

    def test_a_photo_without_a_face_among_others_is_named(
        self, pack: Path, photos: Path, tmp_path: Path, capsys: Shown
    ) -> None:
        both = [str(photos / "none.png"), str(photos / "far.png")]
        assert run(["faces", *both, "--pack", str(pack), "-o", str(tmp_path / "o.png")]) == 0
        shown = capsys.readouterr()
        assert "shows no face" in " ".join(shown.err.split())
        assert sorted(file.name for file in tmp_path.iterdir()) == ["o-1.png", "o-2.png"]
        assert run(["faces", both[0], both[0], "--pack", str(pack)]) == 2
        assert "the 2 photos show no face" in capsys.readouterr().err


class TestMarks:
    @pytest.mark.parametrize("size", [(16, 16), (48, 64), (640, 256), (4000, 2600), (60, 1200)])
    def test_are_seen_at_every_size(self, size: tuple[int, int]) -> None:
        picture = Image.new("RGB", size, "grey")
        width, height = size
        marked = mark_faces(picture, [face(0.2 * width, 0.2 * height, 0.5 * width, 0.5 * height)])
        assert max(marked.size) >= min(LEAST_SIDE / 1.5, max(size))
        assert marked.width * height == marked.height * width, "every pixel is scaled alike"
        changed = np.any(np.asarray(marked) != 128, axis=2)
        label = np.all(np.asarray(marked)[: round(0.2 * marked.height)] < 60, axis=2)
        assert changed.mean() > 0.003
        assert label.any() or size[0] < 64
        assert np.asarray(picture).min() == 128, "the photo itself stays"

    def test_labels_hide_neither_each_other_nor_faces(self) -> None:
        """In a row of people every label lay over the face to the right."""
        ground = Image.new("RGB", (2000, 900), "grey")
        row = [face(40 + 200 * k, 300, 150, 200) for k in range(9)]
        pixels = np.asarray(mark_faces(ground, row))
        for one in row:
            x0, y0, x1, y1 = one.box.astype(int)
            inside = pixels[y0 + 30 : y1 - 30, x0 + 30 : x1 - 30]
            dark = np.all(inside < 40, axis=2)
            assert dark.mean() < 0.01

    @pytest.mark.parametrize("place", [(-10, -10), (580, 0), (0, 450), (590, 440)])
    def test_a_face_at_the_edge_is_labelled_within(self, place: tuple[int, int]) -> None:
        ground = Image.new("RGB", (640, 480), "grey")
        pixels = np.asarray(mark_faces(ground, [face(*place, 60, 60)]))
        plate = np.all(pixels < 60, axis=2)
        columns = np.flatnonzero(plate.any(axis=0))
        assert columns[-1] - columns[0] > 60, "the whole label is there"
