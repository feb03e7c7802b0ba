"""`limner people` draws people nobody has seen, and tells the truth about them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from cli import run
from cli.drawn import new_people
from world import HELD_OUT, sample_person

Shown = pytest.CaptureFixture[str]


def _people(folder: Path, *options: str) -> dict[str, dict[str, object]]:
    assert run(["people", *options, "--size", "64", "-o", str(folder)]) == 0
    truth: dict[str, dict[str, object]] = json.loads((folder / "people.json").read_text())
    return truth


def test_every_picture_lies_beside_the_truth_about_it(tmp_path: Path, capsys: Shown) -> None:
    truth = _people(tmp_path, "3")
    shown = capsys.readouterr()
    pictures = sorted(file.name for file in tmp_path.glob("*.png"))
    assert pictures == sorted(truth)
    assert len(pictures) == 3
    for name, attributes in truth.items():
        with Image.open(tmp_path / name) as image:
            assert (image.size, image.mode) == ((64, 64), "RGB")
        assert attributes["seed"] in {int(name.removeprefix("person-").removesuffix(".png"))}
        assert {"gender", "age", "expression", "glasses", "background"} <= attributes.keys()
    assert "limner fuse" in shown.out


def test_the_same_seed_draws_the_same_people(tmp_path: Path) -> None:
    here, there = (_people(tmp_path / folder, "2", "--seed", "5") for folder in "ab")
    assert here == there
    for file in sorted((tmp_path / "a").glob("*.png")):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_without_a_seed_they_are_others_every_time() -> None:
    assert new_people(4, None) != new_people(4, None)


def test_nobody_was_seen_in_training_and_nobody_comes_twice() -> None:
    seeds = new_people(50, 3)
    assert min(seeds) >= HELD_OUT
    assert len(set(seeds)) == 50


def test_what_is_set_holds_for_all_of_them(tmp_path: Path) -> None:
    truth = _people(
        tmp_path, "4", "--seed", "1", "--set", "gender=woman", "--set", "glasses",
        "--set", "age=60", "--set", "hat=none", "--set", "background=beach",
    )  # fmt: skip
    for attributes in truth.values():
        assert sample_person(int(str(attributes["seed"]))).gender == "woman"
        asked = {"gender": "woman", "glasses": True, "age": 60, "hat": False, "background": "beach"}
        assert asked.items() <= attributes.items()


def test_json_is_all_there_is_on_stdout(tmp_path: Path, capsys: Shown) -> None:
    truth = _people(tmp_path, "1", "--json")
    assert json.loads(capsys.readouterr().out) == truth


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("glases", '"glasses"'),
        ("hair=green", "blond"),
        ("age=150", "age"),
        ("age=90", "79"),
        ("age=30-40", "one number"),
        ("style=oil", "style"),
        ("gender=person", "man or woman"),  # nobody is, and they were looked for without end
        ("expression=smilng", '"smiling"'),
        ("age", "age"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    tmp_path: Path, capsys: Shown, setting: str, said: str
) -> None:
    assert run(["people", "1", "--set", setting, "-o", str(tmp_path / "new")]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert said in shown.err
    assert not (tmp_path / "new").exists()


def test_a_second_run_keeps_the_truth_of_the_first(tmp_path: Path, capsys: Shown) -> None:
    first = _people(tmp_path, "2", "--seed", "1")
    capsys.readouterr()
    both = _people(tmp_path, "1", "--seed", "2", "--json")
    assert both == {**first, **json.loads(capsys.readouterr().out)}
    assert sorted(both) == sorted(file.name for file in tmp_path.glob("*.png"))
    assert len(both) == 3


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff"])
def test_a_foreign_people_json_is_never_overwritten(
    tmp_path: Path, capsys: Shown, text: str
) -> None:
    (tmp_path / "people.json").write_bytes(text.encode("latin-1"))
    assert run(["people", "1", "-o", str(tmp_path)]) == 2
    assert "people.json" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["people.json"]


def test_a_folder_called_people_json_is_found_before_anybody_is_drawn(
    tmp_path: Path, capsys: Shown
) -> None:
    (tmp_path / "people.json").mkdir()
    assert run(["people", "1", "-o", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["people.json"]
