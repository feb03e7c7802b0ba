"""The canonical wording: the mini bundle is trained on it, so that it must never change."""

import pytest

from prompting import Attributes, structured_prompt, wordy_prompt
from prompting.composition import exclusions_of, segments_of


def test_the_canonical_prompt_says_everything_in_its_order() -> None:
    everything = Attributes(
        gender="woman", age=35, expression="smiling", glasses=True, beard=True, hat=True,
        earrings=True, hair="brown", clothing="red", background="blue", light="left", view="left",
    )  # fmt: skip
    assert structured_prompt(everything) == (
        "portrait of a woman, age 35, smiling, glasses, beard, hat, earrings, brown hair, "
        "red shirt, blue background, light from the left, facing left"
    )


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("expression", {v: v for v in ("neutral", "smiling", "surprised", "sad")}),
        ("hair", {v: f"{v} hair" for v in ("black", "brown", "blond", "ginger")}),
        ("clothing", {v: f"{v} shirt" for v in ("red", "white", "purple", "orange", "teal")}),
        (
            "background",
            {
                v: f"{v} background"
                for v in "blue green pink yellow park beach sunset night grey".split()  # noqa: SIM905
            },
        ),
        (
            "light",
            {
                "front": "soft front light",
                "left": "light from the left",
                "right": "light from the right",
            },
        ),
        (
            "view",
            {"front": "facing the viewer", "left": "facing left", "right": "facing right"},
        ),
        ("age", {18: "age 18", 79: "age 79", "30-40": "age 30-40"}),
        ("glasses", {True: "glasses", "round": "round glasses", "sunglasses": "sunglasses"}),
        ("hat", {True: "hat", "straw": "straw hat", "red cap": "red cap"}),
        ("hair", {"bald": "bald", "long curly": "long curly hair", "red-haired": "ginger hair"}),
        ("clothing", {"leather jacket": "leather jacket"}),
        ("background", {"busy street": "busy street background"}),
    ],
)
def test_each_value_has_its_words(key: str, words: dict[object, str]) -> None:
    for value, said in words.items():
        assert structured_prompt(Attributes(**{key: value})) == f"portrait of a person, {said}"


@pytest.mark.parametrize(
    ("who", "subject"),
    [
        ({}, "portrait of a person"),
        ({"gender": "man"}, "portrait of a man"),
        ({"gender": "woman", "ancestry": "asian"}, "portrait of an Asian woman"),
        ({"ancestry": "Nordic"}, "portrait of a Nordic person"),
    ],
)
def test_the_subject_comes_with_its_article(who: dict[str, str], subject: str) -> None:
    assert structured_prompt(Attributes(**who)) == subject


def test_what_is_false_is_not_said_but_excluded() -> None:
    attributes = Attributes(hat="none", glasses=False, beard=True, exclude=["blur", "glasses"])
    assert structured_prompt(attributes) == "portrait of a person, beard"
    assert exclusions_of(attributes) == ("glasses", "hat", "blur")


def test_every_segment_names_the_attribute_that_asks_for_it() -> None:
    segments = segments_of(Attributes(age=60, hat=True, phrases=["a dog"]))
    assert [segment.attribute for segment in segments] == ["subject", "age", "hat", "phrases"]


def test_the_wordy_prompt_says_the_same_in_more_words() -> None:
    attributes = Attributes(gender="man", age=60, glasses=True, background="park", phrases="a dog")
    assert wordy_prompt(attributes) == (
        "a portrait of a man, who looks about 60 years old, who is wearing glasses, "
        "in front of a park background, a dog"
    )
