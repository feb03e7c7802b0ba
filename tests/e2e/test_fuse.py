"""`limner fuse` on the bundle that ships: the right person, the right words, the rest untouched.

Averages over several people where one picture may go wrong; the card has the figures.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import run
from cli.drawn import DrawnPerson
from eval.insertions import outside_mask
from fusion import MaskShape
from models import FaceAnalyser, open_bundle

Cosine = Callable[[Path, DrawnPerson], float]
Judged = Callable[[Path], dict[str, str]]
Shown = pytest.CaptureFixture[str]


def _fuse(*options: object) -> None:
    assert run(["fuse", *(str(option) for option in options)]) == 0


def test_a_portrait_is_more_like_its_person_than_like_others(
    women: list[DrawnPerson], photos: list[Path], tmp_path: Path, cosine: Cosine
) -> None:
    own, others = [], []
    for index, photo in enumerate(photos):
        output = tmp_path / f"{index}.png"
        _fuse("-i", photo, "--set", "gender=woman", "--set", "age=30", "-o", output)
        cosines = [cosine(output, woman) for woman in women]
        own.append(cosines.pop(index))
        others += cosines
    assert np.mean(own) > np.mean(others) + 0.2
    assert min(own) > -1, "a face is found in every portrait"


def test_the_words_are_obeyed(photos: list[Path], tmp_path: Path, judged: Judged) -> None:
    asked = {"glasses": "yes", "hat": "yes", "clothing": "red", "background": "blue"}
    settings = ("--set", "glasses", "--set", "hat", "--set", "clothing=red")
    seen = []
    for photo in photos:
        output = tmp_path / photo.name
        _fuse("-i", photo, "--set", "gender=woman", *settings, "--set", "background=blue",
              "-o", output)  # fmt: skip
        verdict = judged(output)
        seen += [verdict[key] == value for key, value in asked.items()]
    assert np.mean(seen) >= 0.75


def test_a_blend_follows_its_weights(
    women: list[DrawnPerson], photos: list[Path], tmp_path: Path, cosine: Cosine
) -> None:
    rises = []
    for first, second in ((0, 1), (2, 3)):
        leaning = []
        for share in (0.2, 0.8):
            output = tmp_path / f"{first}-{share}.png"
            _fuse("-i", f"{photos[first]}:{share}", "-i", f"{photos[second]}:{1 - share}",
                  "--set", "gender=woman", "-o", output)  # fmt: skip
            leaning.append(cosine(output, women[first]) - cosine(output, women[second]))
        rises.append(leaning[1] - leaning[0])
    assert np.mean(rises) > 0


def test_a_face_comes_into_a_target_and_the_rest_stays(
    women: list[DrawnPerson], photos: list[Path], tmp_path: Path, cosine: Cosine
) -> None:
    gains = []
    for source, target in ((0, 1), (2, 3)):
        output = tmp_path / f"{source}.png"
        _fuse("-i", photos[source], "--target", photos[target], "-o", output)
        with Image.open(output) as result, Image.open(photos[target]) as before:
            assert result.size == before.size
            drawn = np.asarray(result.convert("RGB"), np.float64)
            kept = np.asarray(before.convert("RGB"), np.float64)
        (face,) = FaceAnalyser(open_bundle("mini")).analyse(kept.astype(np.uint8))
        untouched = outside_mask(face.landmarks, before.size, MaskShape())
        assert untouched.mean() > 0.05
        assert np.array_equal(drawn[untouched], kept[untouched]), "every byte stays"
        gains.append(cosine(output, women[source]) - cosine(photos[target], women[source]))
    assert np.mean(gains) > 0.1


def test_the_same_request_gives_the_same_picture_and_another_seed_another(
    photos: list[Path], tmp_path: Path
) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        _fuse("-i", photos[0], "--seed", seed, "--steps", 6, "-o", tmp_path / f"{name}.png")
    pixels = [Image.open(tmp_path / f"{name}.png").tobytes() for name in "abc"]
    assert pixels[0] == pixels[1]
    assert pixels[0] != pixels[2]


def test_the_identity_gate_draws_again_and_says_so(
    photos: list[Path], tmp_path: Path, capsys: Shown
) -> None:
    output = tmp_path / "out.png"
    _fuse("-i", photos[0], "--min-identity", 0.999, "--steps", 4, "-o", output, "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["images"][0]["attempts"] > 1
    assert told["warnings"] or any(record["downgrades"] for record in told["trace"])


def test_the_command_itself_leaves_a_picture_and_a_clean_stderr(
    photos: list[Path], tmp_path: Path
) -> None:
    limner = Path(sys.executable).with_name("limner")
    result = subprocess.run(
        [limner, "fuse", "-i", photos[0], "--steps", "4", "-o", "out.png"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert all(line.startswith("note: ") for line in result.stderr.splitlines())
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (128, 128)


def test_the_command_refuses_in_one_line_with_code_two(tmp_path: Path) -> None:
    limner = Path(sys.executable).with_name("limner")
    result = subprocess.run(
        [limner, "fuse", "-i", "nobody.png", "-o", "out.png"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
