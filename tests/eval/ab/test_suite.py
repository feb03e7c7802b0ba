"""Suites: people × wishes × seeds, held-out ones only, the same every time."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.ab.cases import cases_of
from eval.ab.errors import SuiteInvalid
from eval.ab.suite import Suite, list_ab_suites, read_suite, template
from world import HELD_OUT, LABELS


def _suite(folder: Path, text: str) -> Suite:
    (folder / "suite.toml").write_text(text, encoding="utf-8")
    return read_suite("suite.toml", folder)


def test_our_own_suites_are_listed_with_their_size() -> None:
    listed = {suite.name: suite for suite in list_ab_suites()}
    assert {"mini-quick", "mini-full"} <= set(listed)
    assert (listed["mini-quick"].people, listed["mini-quick"].cases) == (96, 96)
    assert listed["mini-full"].cases == 480


def test_people_are_held_out_and_those_of_another_seed_are_others() -> None:
    suite = read_suite("mini-quick")
    first = {cases_of(suite, 0, 64)[number].person for number in range(3)}
    other = {cases_of(suite, 1, 64)[number].person for number in range(3)}
    assert not first & other
    assert all(int(name.split()[1]) >= HELD_OUT for name in first | other)


def test_a_case_is_the_same_every_time_and_its_pictures_differ() -> None:
    suite = read_suite("mini-quick")
    one, again = cases_of(suite, 0, 64)[5], cases_of(suite, 0, 64)[5]
    assert one.wish == again.wish
    assert one.sentence() == again.sentence()
    assert np.array_equal(one.pictures.photo, again.pictures.photo)
    assert one.pictures.other is not None
    assert not np.array_equal(one.pictures.photo, one.pictures.other)


def test_cases_of_a_person_stand_together_and_differ_in_wish_or_seed(tmp_path: Path) -> None:
    suite = _suite(tmp_path, 'title = "x"\n[drawn]\npeople = 3\nwishes = 2\nseeds = 2\n')
    cases = cases_of(suite, 0, 64)
    assert len(cases) == 12
    assert [cases.unit_of(number) for number in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    first = [cases[number] for number in range(4)]
    assert len({case.person for case in first}) == 1
    assert first[0].wish == first[1].wish != first[2].wish
    assert len({case.seed for case in first}) == 4


def test_every_case_has_noise_of_its_own_and_other_noise_with_another_seed(
    tmp_path: Path,
) -> None:
    """People who shared noise were one piece of evidence: arms that are the same differed."""
    (tmp_path / "photos").mkdir()
    for name in "abc":
        Image.new("RGB", (64, 64), (ord(name), 9, 9)).save(tmp_path / f"photos/{name}.png")
    text = 'title = "x"\n[photos]\nfolder = "photos"\nseeds = 2\n[[prompts]]\ntext = "old"\n'
    for suite in (_suite(tmp_path, text), read_suite("mini-quick")):
        seeds = [cases_of(suite, seed, 32)[number].seed for seed in range(3) for number in range(6)]
        assert len(set(seeds)) == 18


def test_a_photo_that_is_no_picture_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(template(), encoding="utf-8")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "photos/a.png")
    (tmp_path / "photos/b.jpg").write_bytes(b"no picture")
    with pytest.raises(SuiteInvalid, match=r"b\.jpg"):
        cases_of(read_suite("suite.toml", tmp_path), 0, 64)


def test_every_value_is_asked_for(tmp_path: Path) -> None:
    suite = _suite(tmp_path, 'title = "x"\n[drawn]\npeople = 40\n')
    cases = cases_of(suite, 0, 32)
    for head in ("glasses", "expression", "background"):
        assert {cases[number].asked[head] for number in range(40)} == set(LABELS[head])


def test_what_is_left_out_is_not_said(tmp_path: Path) -> None:
    cases = cases_of(read_suite("mini-quick"), 0, 64)
    wears = next(case for n in range(96) if (case := cases[n]).attributes["glasses"])
    assert "glasses" in wears.sentence()
    assert "glasses" not in wears.sentence(["glasses"])
    assert wears.asked["glasses"] == "yes"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('title = "x"\n', "one kind"),
        ('title = "x"\n[drawn]\npeople = 0\n', "drawn.people"),
        ('title = "x"\n[photos]\nfolder = "p"\n', r"\[\[prompts\]\]"),
        ('title = "x"\n[drawn]\npeople = 2\n[photos]\nfolder = "p"\n', "one kind"),
        ('title = "x"\n[drawn]\npeople = 2\nage = 3\n', "drawn.age"),
        ('title = "x"\n[photos]\nfolder = "p"\n[[prompts]]\nstyle = "a"\n', "give text"),
        (
            'title = "x"\n[photos]\nfolder = "p"\n[[prompts]]\nattributes = { glases = true }\n',
            'did you mean "glasses"',
        ),
        ("title = ", "cannot be read"),
    ],
)
def test_a_suite_that_is_none_says_why(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SuiteInvalid, match=said) as caught:
        _suite(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_an_unknown_suite_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SuiteInvalid, match="mini-full, mini-quick"):
        read_suite("mini-quik", tmp_path)


def test_the_template_takes_photographs_by_person(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(template(), encoding="utf-8")
    for name in ("ada/1.png", "ada/2.png", "bob.png", "notes.txt", "empty/none.txt"):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".png":
            Image.new("RGB", (64, 64), (len(name), 9, 9)).save(file)
        else:
            file.write_text("x", encoding="utf-8")
    cases = cases_of(read_suite("suite.toml", tmp_path), 0, 64)
    assert len(cases) == 2 * 5 * 2
    ada, bob = cases[0], cases[len(cases) - 1]
    assert (ada.person, bob.person) == ("ada", "bob")
    assert ada.pictures.other is not None
    assert bob.pictures.other is None
    assert {cases[number].style for number in range(10)} == {"realistic", "stylised"}
    assert ada.asked["expression"] == "smiling"
    assert cases.have_others()


def test_a_suite_with_no_people_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(template(), encoding="utf-8")
    suite = read_suite("suite.toml", tmp_path)
    with pytest.raises(SuiteInvalid, match="is no folder"):
        cases_of(suite, 0, 64)
    (tmp_path / "photos").mkdir()
    with pytest.raises(SuiteInvalid, match="holds nobody"):
        cases_of(suite, 0, 64)
