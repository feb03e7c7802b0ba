"""The plan: what is said, what is dropped over the budget, and the account of both."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompting import (
    Attributes,
    InvalidAttribute,
    PromptTooLong,
    count_tokens,
    optimize,
    structured_prompt,
)
from prompting.optimizer import PRIORITY


class Letters:
    """A tokenizer whose tokens are letters, in the shape of a transformers tokenizer."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> Sequence[int]:
        marks = [0] if add_special_tokens else []
        return [*marks, *map(ord, text.replace(" ", "")), *marks]


FULL = Attributes(
    gender="woman", age=35, expression="smiling", glasses=True, hat="straw", hair="brown",
    clothing="red", background="park", light="left", view="left", beard=False,
    phrases=["a parrot", "confetti"], exclude=["blur"],
)  # fmt: skip

ASKED = st.builds(
    Attributes,
    gender=st.none() | st.sampled_from(["man", "woman"]),
    age=st.none() | st.integers(1, 120),
    glasses=st.none() | st.booleans() | st.just("round"),
    hat=st.none() | st.booleans(),
    hair=st.none() | st.sampled_from(["black", "long curly"]),
    background=st.none() | st.sampled_from(["park", "busy street"]),
    phrases=st.lists(
        st.sampled_from(["a parrot", "confetti", "a very long phrase about rain"]), max_size=32
    ),
    exclude=st.lists(st.sampled_from(["blur", "text", "other people"]), max_size=32),
)


def test_attributes_alone_give_the_canonical_prompt() -> None:
    plan = optimize(FULL)
    assert plan.prompt == structured_prompt(FULL)
    assert plan.negative_prompt == "beard, blur"
    assert plan.dropped == ()
    assert plan.kept == (*plan.prompt.split(", "), "no beard", "no blur")


def test_a_mapping_does_as_well_as_attributes() -> None:
    assert optimize(FULL.model_dump()) == optimize(FULL)
    with pytest.raises(InvalidAttribute):
        optimize({"age": 200})


def test_a_wordy_text_becomes_the_same_prompt_as_its_attributes() -> None:
    wordy = "a smiling woman who looks 35 years old and is wearing glasses, without a hat"
    attributes = {
        "gender": "woman",
        "age": 35,
        "expression": "smiling",
        "glasses": True,
        "hat": False,
    }
    plan = optimize(text=wordy)
    assert plan.prompt == optimize(attributes).prompt
    assert plan.negative_prompt == optimize(attributes).negative_prompt == "hat"
    assert plan.baseline_tokens == count_tokens(wordy, None) > plan.tokens


def test_nothing_asked_for_is_a_portrait_of_a_person() -> None:
    for plan in (optimize(), optimize({}, ""), optimize(text=" , and ")):
        assert (plan.prompt, plan.negative_prompt) == ("portrait of a person", "")


def test_attributes_win_over_the_text_and_the_text_is_accounted_for() -> None:
    plan = optimize({"gender": "man", "glasses": False}, "a smiling woman with glasses and a dog")
    assert plan.prompt == "portrait of a man, smiling, dog"
    assert plan.negative_prompt == "glasses"
    assert plan.dropped == ("woman", "glasses")


def test_the_same_thing_is_said_once() -> None:
    plan = optimize({"phrases": ["Dog", "smiling"]}, "a dog, smiling")
    assert plan.prompt == "portrait of a person, smiling, Dog"
    assert optimize({"hat": True}, "a hat").prompt == "portrait of a person, hat"


def test_over_the_budget_the_least_important_goes_first() -> None:
    dropped: list[str] = []
    for budget in range(40, 3, -1):
        plan = optimize(FULL, budget=budget)
        assert plan.tokens == count_tokens(plan.prompt, None) <= budget
        dropped += [words for words in plan.dropped if words not in dropped]
    # "a parrot" is larger than "confetti" and so is the first that no longer fits
    assert dropped[:3] == ["confetti", "a parrot", "light from the left"]
    assert dropped.index("red shirt") < dropped.index("straw hat") < dropped.index("age 35")


def test_exclusions_have_the_same_budget() -> None:
    plan = optimize({"hat": False, "exclude": ["many other people", "text"]}, budget=4)
    assert plan.negative_prompt == "hat, many other people"
    assert plan.dropped == ("no text",)


def test_a_budget_too_small_for_the_subject_is_refused() -> None:
    with pytest.raises(PromptTooLong, match="5 tokens long and the budget is 3") as caught:
        optimize({"gender": "woman", "ancestry": "asian"}, budget=3)
    assert (caught.value.tokens, caught.value.budget) == (5, 3)


@given(ASKED, st.integers(4, 30))
def test_everything_asked_for_is_kept_or_dropped(attributes: Attributes, budget: int) -> None:
    plan = optimize(attributes, budget=budget)
    everything = optimize(attributes, budget=10_000)
    assert sorted(plan.kept + plan.dropped) == sorted(everything.kept)
    assert plan.prompt == ", ".join(segment.text for segment in plan.segments)
    assert max(plan.tokens, count_tokens(plan.negative_prompt, None)) <= budget
    assert everything.tokens <= everything.baseline_tokens


@given(ASKED)
def test_tokens_are_those_of_the_given_tokenizer_without_marks(attributes: Attributes) -> None:
    plan = optimize(attributes, tokenizer=Letters(), budget=1000)
    assert plan.tokens == len(plan.prompt.replace(" ", ""))


def test_every_attribute_has_its_place_among_the_priorities() -> None:
    said = set(Attributes.model_fields) - {"gender", "ancestry", "exclude"} | {"subject"}
    assert set(PRIORITY) == said


@pytest.mark.parametrize("key", ["phrases", "exclude", "background"])
def test_weights_in_free_words_are_refused(key: str) -> None:
    with pytest.raises(InvalidAttribute, match=f"{key}: .*weights are not offered"):
        optimize({key: "(rain:1.3)"})
