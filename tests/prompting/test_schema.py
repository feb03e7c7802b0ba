"""Attributes: what they take, what they make of it, and what they say when they refuse."""

import pydantic
import pytest

from prompting import AgeRange, Attributes, InvalidAttribute, PromptingError, UnknownAttribute
from prompting.schema import ACCESSORIES
from prompting.values import MAX_PHRASES, MAX_WORD_CHARACTERS


def attributes(**given: object) -> Attributes:
    return Attributes(**given)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (35, 35),
        ("35", 35),
        (" 35 ", 35),
        ("30-40", AgeRange(30, 40)),
        ("30 to 40", AgeRange(30, 40)),
        ("30s", AgeRange(30, 39)),
        ("35-35", 35),
        ("３５", 35),
        (1, 1),
        (120, 120),
    ],
)
def test_an_age_is_a_number_or_a_range(given: object, taken: object) -> None:
    assert attributes(age=given).age == taken


@pytest.mark.parametrize(
    "age", [0, 121, -3, "200", True, 35.5, "ancient", "40-30", "", "3-", [30], {}]
)
def test_an_impossible_age_is_refused(age: object) -> None:
    with pytest.raises(InvalidAttribute, match=r"^age: "):
        attributes(age=age)


def test_a_range_that_runs_backwards_is_turned_round_in_the_message() -> None:
    with pytest.raises(InvalidAttribute, match='did you mean "30-40"'):
        attributes(age="40-30")


@pytest.mark.parametrize("accessory", ACCESSORIES)
@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (True, True), ("true", True), ("Yes", True), ("有", True),
        (False, False), ("none", False), ("NO", False), ("没有", False),
        ("round", "round"), ("  dark   blue ", "dark blue"), (None, None),
    ],
)  # fmt: skip
def test_an_accessory_is_worn_not_worn_or_described(
    accessory: str, given: object, taken: object
) -> None:
    assert getattr(attributes(**{accessory: given}), accessory) == taken


def test_an_accessory_called_by_its_name_is_worn() -> None:
    assert attributes(glasses="眼镜", hat="Hat") == attributes(glasses=True, hat=True)


@pytest.mark.parametrize(
    ("key", "given", "taken"),
    [
        ("expression", "微笑", "smiling"),
        ("expression", "Happy", "smiling"),
        ("gender", "Female", "woman"),
        ("gender", "男", "man"),
        ("light", "light from the left", "left"),
        ("view", "facing the viewer", "front"),
        ("hair", "blonde", "blond"),
        ("background", "海滩", "beach"),
        ("clothing", "Red  Shirt", "red"),
    ],
)
def test_values_are_known_by_all_their_names(key: str, given: str, taken: str) -> None:
    assert getattr(attributes(**{key: given}), key) == taken


@pytest.mark.parametrize("key", ["clothing", "background", "hair", "style", "profession"])
def test_open_vocabularies_take_free_words_up_to_a_length(key: str) -> None:
    assert getattr(attributes(**{key: "something  nobody\nlisted"}), key) == (
        "something nobody listed"
    )
    with pytest.raises(InvalidAttribute, match=f"limit is {MAX_WORD_CHARACTERS}"):
        attributes(**{key: "x" * (MAX_WORD_CHARACTERS + 1)})


@pytest.mark.parametrize(
    ("key", "given", "nearest"),
    [("expression", "smilng", "smiling"), ("gender", "womn", "woman"), ("light", "lft", "left")],
)
def test_the_nearest_value_is_suggested(key: str, given: str, nearest: str) -> None:
    with pytest.raises(InvalidAttribute, match=f'did you mean "{nearest}"'):
        attributes(**{key: given})


def test_the_nearest_key_is_suggested() -> None:
    with pytest.raises(UnknownAttribute, match=r'"glases".*did you mean "glasses"') as caught:
        attributes(glases=True)
    assert (caught.value.key, caught.value.nearest) == ("glases", "glasses")


def test_a_key_like_no_other_gets_the_list() -> None:
    with pytest.raises(UnknownAttribute, match="known: gender") as caught:
        attributes(xyzzy=1)
    assert caught.value.nearest is None


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("expression", 3), ("expression", ""), ("hat", 3), ("hat", []), ("hair", True),
        ("gender", "\x00"), ("background", " , "), ("phrases", 3), ("phrases", [1]),
        ("phrases", ["x"] * (MAX_PHRASES + 1)), ("exclude", "x" * 1000),
    ],
)  # fmt: skip
def test_what_an_attribute_cannot_take_is_refused_by_name_on_one_line(
    key: str, given: object
) -> None:
    with pytest.raises(InvalidAttribute, match=f"^{key}: ") as caught:
        attributes(**{key: given})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_phrases_are_one_or_several_and_kept_once() -> None:
    assert attributes(phrases="a dog").phrases == ("a dog",)
    assert attributes(phrases=["a  dog", "a cat", "a dog"]).phrases == ("a dog", "a cat")


def test_every_refusal_is_a_value_error_of_ours() -> None:
    assert issubclass(PromptingError, ValueError)
    for error in (UnknownAttribute, InvalidAttribute):
        assert issubclass(error, PromptingError)


def test_attributes_are_frozen_and_survive_json() -> None:
    given = attributes(age="30-40", hat="straw", glasses=False, phrases=["a dog"])
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        given.age = 3  # type: ignore[misc]
    assert Attributes.model_validate_json(given.model_dump_json()) == given
    assert hash(given) == hash(Attributes(**given.model_dump()))


def test_inside_a_larger_request_the_message_survives() -> None:
    class Request(pydantic.BaseModel):
        attributes: Attributes

    with pytest.raises(pydantic.ValidationError, match='did you mean "smiling"'):
        Request.model_validate({"attributes": {"expression": "smilng"}})
