"""Attributes that cannot all be true of one portrait."""

import pytest

from prompting import Attributes, ContradictoryAttributes, optimize


@pytest.mark.parametrize(
    "given",
    [
        {"hair_length": "bald", "hair_style": "curly"},
        {"hair_length": "bald", "hair": "brown"},
        {"hair": "bald", "hair_length": "long"},
        {"hair_length": "shaved", "hair_style": "ponytail"},
        {"lens": ["bokeh", "deep focus"]},
        {"glasses": True, "exclude": ["glasses"]},
        {"glasses": "round", "exclude": ["spectacles"]},
        {"expression": "smiling", "exclude": ["smile"]},
        {"phrases": ["a dog"], "exclude": ["a dog"]},
    ],
    ids=str,
)
def test_contradictory_attributes_are_refused_with_what_to_do(given: dict[str, object]) -> None:
    with pytest.raises(ContradictoryAttributes, match="contradict each other: leave out one"):
        Attributes(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"hair_length": "bald", "beard": "white beard"},
        {"hair": "bald"},
        {"hair_length": "shaved", "hair": "grey"},
        {"glasses": False, "exclude": ["glasses"]},
        {"lens": ["bokeh", "shallow depth of field"]},
    ],
    ids=str,
)
def test_what_agrees_is_taken(given: dict[str, object]) -> None:
    Attributes(**given)


def test_a_text_against_an_attribute_gives_way_and_says_why() -> None:
    plan = optimize({"hair_length": "bald"}, "a man with curly hair")
    assert plan.prompt == "man portrait, bald"
    assert plan.dropped == ("curly hair",)
    assert any(d.reason == 'contradicts "bald"' for d in plan.decisions)
    plan = optimize({"exclude": ["hat"]}, "a man with a hat")
    assert (plan.prompt, plan.dropped) == ("man portrait", ("hat",))
    plan = optimize({"hat": True}, "a man without a hat")
    assert (plan.prompt, plan.dropped) == ("man portrait, hat", ("no hat",))


def test_in_one_text_what_was_said_first_stands_and_a_refusal_takes_back() -> None:
    plan = optimize(text="a bald man, curly hair")
    assert (plan.prompt, plan.dropped) == ("man portrait, bald", ("curly hair",))
    plan = optimize(text="a man who wears glasses, but draw him without glasses", negative="")
    assert (plan.prompt, plan.negative_prompt) == ("man portrait", "glasses")
    assert "glasses" in plan.removed
    plan = optimize(text="a man without glasses. He has glasses.", negative="")
    assert (plan.prompt, plan.negative_prompt) == ("man portrait", "glasses")
    assert plan.dropped == ("glasses",)
