"""The commands on a bundle of random weights: what they say, write and refuse.

What they draw is noise here; tests/e2e has the bundle that ships.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import run
from fusion import read_labels

Shown = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in which the random bundle's detector sees one face, two, or none."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, shape in (("a", (256, 256)), ("b", (256, 256)), ("two", (256, 640))):
        pixels = rng.integers(120, 255, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    Image.new("RGB", (256, 256)).save(folder / "none.png")
    return folder


def _fuse(bundle: Path, *options: object) -> int:
    return run(["fuse", "--bundle", str(bundle), *(str(option) for option in options)])


def test_a_portrait_is_drawn_labelled_and_accounted_for(
    tiny_bundle: Path, photos: Path, tmp_path: Path, capsys: Shown
) -> None:
    output = tmp_path / "out.png"
    options = ("-i", photos / "a.png", "-i", f"{photos / 'b.png'}:0.3", "--set", "glasses")
    assert _fuse(tiny_bundle, *options, "--steps", 2, "-o", output) == 0
    shown = capsys.readouterr()
    with Image.open(output) as image:
        assert image.size == (128, 128)
    assert read_labels(output)
    assert "tokens" in shown.out
    assert "denoise" in shown.out
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.png"]


def test_json_tells_weights_usage_and_trace(
    tiny_bundle: Path, photos: Path, tmp_path: Path, capsys: Shown
) -> None:
    options = ("-i", photos / "a.png", "-i", f"{photos / 'b.png'}:0.3", "--count", 2, "--steps", 2)
    assert _fuse(tiny_bundle, *options, "-o", tmp_path / "out.jpg", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [Path(image["path"]).name for image in told["images"]] == ["out-1.jpg", "out-2.jpg"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out-1.jpg", "out-2.jpg"]
    assert told["usage"]["images"] == 2
    assert {"analyse", "denoise", "decode"} <= {record["stage"] for record in told["trace"]}
    for image in told["images"]:
        weights = [one["weight"] for one in image["similarity"]]
        assert not weights or weights == pytest.approx([0.7, 0.3])


def test_free_words_become_the_prompt(
    tiny_bundle: Path, photos: Path, tmp_path: Path, capsys: Shown
) -> None:
    options = ("-i", photos / "a.png", "--text", "a smiling man in a park", "--set", "glasses")
    assert _fuse(tiny_bundle, *options, "--steps", 1, "-o", tmp_path / "o.png", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert all(word in told["prompt"] for word in ("man", "smiling", "park", "glasses"))
    assert told["dropped"] == []
    assert told["usage"]["tokens"] < told["usage"]["baseline_tokens"]


def test_words_that_an_attribute_overrules_are_noted(
    tiny_bundle: Path, photos: Path, tmp_path: Path, capsys: Shown
) -> None:
    """The plan was made twice, and the first one, which knew what was dropped, was thrown away."""
    options = ("-i", photos / "a.png", "--text", "a sad man", "--set", "expression=smiling")
    output = tmp_path / "o.png"
    assert _fuse(tiny_bundle, *options, "--steps", 1, "-o", output, "--json") == 0
    assert json.loads(capsys.readouterr().out)["dropped"] == ["sad"]
    assert _fuse(tiny_bundle, *options, "--steps", 1, "-o", output) == 0
    assert "left out sad" in capsys.readouterr().err


def test_one_face_of_several_can_be_chosen(
    tiny_bundle: Path, photos: Path, tmp_path: Path, capsys: Shown
) -> None:
    options = ("-i", photos / "two.png", "--steps", 1, "-o", tmp_path / "out.png")
    assert _fuse(tiny_bundle, *options) == 2
    refused = capsys.readouterr()
    assert "2 faces" in refused.err
    assert refused.err.count("[") >= 2, "both boxes are named"
    assert _fuse(tiny_bundle, *options, "--face", 2) == 0


def test_faces_are_listed_and_marked(
    tiny_bundle: Path, photos: Path, tmp_path: Path, capsys: Shown
) -> None:
    marked = tmp_path / "boxes.png"
    options = [str(photos / "two.png"), "--bundle", str(tiny_bundle)]
    assert run(["faces", *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [face["face"] for face in found] == [1, 2]
    assert found[0]["box"][0] < found[1]["box"][0], "numbered from the left"
    assert run(["faces", *options, "-o", str(marked)]) == 0
    with Image.open(marked) as image, Image.open(photos / "two.png") as photo:
        assert image.size == photo.size
        assert np.any(np.asarray(image) != np.asarray(photo))


def test_a_prompt_is_shown_with_its_length(tiny_bundle: Path, capsys: Shown) -> None:
    options = ["prompt", "--set", "glasses", "--set", "age=60", "--bundle", str(tiny_bundle)]
    assert run([*options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "glasses" in told["prompt"]
    assert 0 < told["tokens"] <= told["baseline_tokens"]
    assert run(options) == 0
    assert f"{told['tokens']} tokens" in capsys.readouterr().out


def test_bundles_are_listed_and_verified(
    tiny_bundle: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_BUNDLES", str(tiny_bundle.parent))
    assert run(["models", "list", "--json"]) == 0
    (row,) = (row for row in json.loads(capsys.readouterr().out) if row["name"] == "tiny")
    assert row["state"] == "complete"
    assert run(["models", "verify", "tiny"]) == 0
    assert "every digest" in capsys.readouterr().out


def test_a_bundle_without_a_card_says_how_to_get_one(tiny_bundle: Path, capsys: Shown) -> None:
    assert run(["models", "card", str(tiny_bundle)]) == 2
    assert "--measure" in capsys.readouterr().err


def test_a_bench_tells_seconds_and_memory(tiny_bundle: Path, capsys: Shown) -> None:
    options = ["--bundle", str(tiny_bundle), "--count", "1", "--steps", "1", "--json"]
    assert run(["bench", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["median_seconds"] > 0
    assert told["together_seconds"] > 0
    assert told["peak_memory_bytes"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-i", "{photos}/none.png"], "shows no face"),
        (["-i", "{photos}/nobody.png"], "no file"),
        (["-i", "{photos}"], "folder"),
        (["-i", "{photos}/two.png", "--face", "3"], "no face 3"),
        (["-i", "{photos}/a.png", "--face", "0"], "from 1"),
        (["-i", "{photos}/a.png", "--face", "1", "--face", "2"], "--face"),
        (["-i", "{photos}/a.png:-1"], "weight -1"),
        (["-i", "{photos}/a.png:0"], "sum to zero"),
        (["-i", "{photos}/a.png:1", "-i", "{photos}/b.png"], "b.png"),
        (["-i", "{photos}/a.png:1e308", "-i", "{photos}/b.png:1e308"], "weight 1e+308"),
        (["-i", "{photos}/a.png", "--text", "a (man:1.2)"], "man"),
        (["-i", "{photos}/a.png", "--set", "glases"], '"glasses"'),
        (["-i", "{photos}/a.png", "--set", "expression=smilng"], '"smiling"'),
        (["-i", "{photos}/a.png", "--size", "100x100"], "multiples of 8"),
        (["-i", "{photos}/a.png", "--size", "big"], "WIDTHxHEIGHT"),
        (["-i", "{photos}/a.png", "--steps", "0"], "steps"),
        (["-i", "{photos}/a.png", "--count", "0"], "count"),
        (["-i", "{photos}/a.png", "--guidance-scale", "-1"], "guidance_scale"),
        (["-i", "{photos}/a.png", "--strength", "0", "--target", "{photos}/b.png"], "strength"),
        (["-i", "{photos}/a.png", "--min-identity", "2"], "min_identity"),
        (["-i", "{photos}/a.png", "--target", "{photos}/none.png"], "none.png"),
        (["-i", "{photos}/a.png", "--device", "abacus"], "abacus"),
        ([], "nothing to draw"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tiny_bundle: Path, photos: Path, tmp_path: Path, capsys: Shown, options: list[str], said: str
) -> None:
    given = [option.format(photos=photos) for option in options]
    assert _fuse(tiny_bundle, *given, "-o", tmp_path / "out.png") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert said in shown.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.txt", "folder.png", "missing/../file/out.png"])
def test_a_place_that_cannot_take_the_picture_is_found_before_the_bundle_is_opened(
    photos: Path, tmp_path: Path, capsys: Shown, name: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    output = tmp_path / name
    assert _fuse(tmp_path / "no-bundle", "-i", photos / "a.png", "-o", output) == 2
    assert capsys.readouterr().err.startswith("limner: ")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_photo_is_never_overwritten_by_the_portrait(
    tiny_bundle: Path, photos: Path, capsys: Shown
) -> None:
    before = (photos / "a.png").read_bytes()
    assert _fuse(tiny_bundle, "-i", photos / "a.png", "-o", photos / "a.png") == 2
    assert "also an input" in capsys.readouterr().err
    assert (photos / "a.png").read_bytes() == before


def test_a_bundle_that_is_not_there_names_those_that_are(
    photos: Path, tmp_path: Path, capsys: Shown
) -> None:
    output = str(tmp_path / "out.png")
    assert run(["fuse", "-i", str(photos / "a.png"), "--bundle", "max", "-o", output]) == 2
    shown = capsys.readouterr()
    assert "max" in shown.err
    assert shown.err.count("\n") == 1
