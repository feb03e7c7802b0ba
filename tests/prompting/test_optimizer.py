"""The plan: what is said, what is dropped over the budget, and the account of both."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompting import (
    Attributes,
    InvalidAttribute,
    PromptTooLong,
    Tokenizer,
    count_tokens,
    optimize,
    structured_prompt,
)
from prompting.layout import priority
from prompting.lexicon import speech
from prompting.schema import CLOSED


class Letters:
    """A tokenizer whose tokens are letters, in the shape of a transformers tokenizer."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> Sequence[int]:
        marks = [0] if add_special_tokens else []
        return [*marks, *map(ord, text.replace(" ", "")), *marks]


FULL = Attributes(
    gender="woman", age=35, expression="smiling", glasses=True, hat="straw", hair="brown",
    clothing="red", background="park", light="left", view="left", beard=False,
    phrases=["confetti", "a parrot"], exclude=["blur"],
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


DEFAULT = ", ".join(speech().negative)


def test_attributes_alone_are_said_in_the_fewest_words() -> None:
    plan = optimize(FULL)
    said = {segment.attribute: segment.text for segment in plan.segments}
    assert said == {
        "subject": "woman portrait", "age": "age 35", "expression": "smiling", "hat": "straw hat",
        "glasses": "glasses", "hair": "brown hair", "clothing": "red shirt", "view": "facing left",
        "background": "park background", "light": "left light", "phrases": "a parrot",
    }  # fmt: skip
    assert plan.negative_prompt == f"{DEFAULT}, beard, blur"
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
    assert plan.negative_prompt == optimize(attributes).negative_prompt == f"{DEFAULT}, hat"
    assert plan.baseline_tokens == count_tokens(wordy, None) > plan.tokens


@pytest.mark.parametrize(
    "text", [None, "", " , and ", "and the, with a", "8k, masterpiece", "，的"]
)
def test_nothing_asked_for_is_a_portrait_of_a_person(text: str | None) -> None:
    plan = optimize({}, text)
    assert (plan.prompt, plan.negative_prompt) == ("person portrait", DEFAULT)
    assert plan.dropped == ()


def test_attributes_win_over_the_text_and_the_text_is_accounted_for() -> None:
    plan = optimize(
        {"gender": "man", "glasses": False}, "a smiling woman with glasses and a dog", negative=""
    )
    assert plan.prompt == "man portrait, smiling, dog"
    assert plan.negative_prompt == "glasses"
    assert plan.dropped == ("woman", "glasses")
    assert {d.reason for d in plan.decisions if d.fate == "dropped"} == {
        'the attribute says "man"', 'the attribute says "no glasses"',
    }  # fmt: skip


def test_the_same_thing_is_said_once() -> None:
    plan = optimize({"phrases": ["Dog", "smiling"]}, "a dog, smiling")
    assert plan.prompt == "person portrait, smiling, Dog"
    assert optimize({"hat": True}, "a hat").prompt == "person portrait, hat"


def test_what_shares_a_noun_says_it_once() -> None:
    plan = optimize({"hair": "brown", "hair_length": "long", "hair_style": "curly"})
    assert plan.prompt == "person portrait, long curly brown hair"
    said = {d.attribute: d.said for d in plan.decisions}
    assert said["hair"] == said["hair_length"] == said["hair_style"] == "long curly brown hair"
    braided = optimize({"hair": "brown", "hair_style": "braids"})
    assert braided.prompt == "person portrait, braids, brown hair"


def test_of_equally_short_phrasings_the_first_or_the_users_own_is_taken() -> None:
    assert optimize({"hair": "ginger"}).prompt == "person portrait, ginger hair"
    assert optimize(text="a person with red hair").prompt == "person portrait, red hair"


def test_over_the_budget_the_least_important_goes_first() -> None:
    dropped: list[str] = []
    for budget in range(40, 1, -1):
        plan = optimize(FULL, budget=budget)
        assert plan.tokens == count_tokens(plan.prompt, None) <= budget
        dropped += [words for words in plan.dropped if words not in dropped and "no " not in words]
    # "a parrot" is larger than "confetti" and so is the first that no longer fits
    assert dropped[:2] == ["a parrot", "confetti"]
    assert dropped.index("red shirt") < dropped.index("straw hat") < dropped.index("age 35")


def test_exclusions_have_the_same_budget_and_go_before_the_default() -> None:
    plan = optimize({"hat": False, "exclude": ["many other people", "texts"]}, budget=4)
    assert plan.negative_prompt == "hat, many other people"
    assert plan.dropped == ("no texts", *(f"no {word}" for word in speech().negative))


def test_a_negative_prompt_given_replaces_the_default_and_is_extended() -> None:
    plan = optimize({"hat": False, "exclude": ["text"]}, negative=" text,  Fog ")
    assert plan.negative_prompt == "text, Fog, hat"
    assert optimize({"hat": False}, negative="").negative_prompt == "hat"


def test_the_default_negative_prompt_does_not_refuse_what_is_asked_for() -> None:
    assert "text" not in optimize(text="a man, text on a wall").negative_prompt


def test_a_budget_too_small_for_the_subject_is_refused() -> None:
    with pytest.raises(PromptTooLong, match="3 tokens long and the budget is 2") as caught:
        optimize({"gender": "woman", "ancestry": "asian"}, budget=2)
    assert (caught.value.tokens, caught.value.budget) == (3, 2)


@given(ASKED, st.integers(4, 30))
def test_everything_asked_for_is_decided_upon(attributes: Attributes, budget: int) -> None:
    plan = optimize(attributes, budget=budget, negative="")
    everything = optimize(attributes, budget=10_000, negative="")
    assert not everything.dropped
    decided = sorted((d.attribute, d.words) for d in plan.decisions)
    assert decided == sorted((d.attribute, d.words) for d in everything.decisions)
    assert set(plan.kept) <= set(everything.kept)
    assert plan.prompt == ", ".join(segment.text for segment in plan.segments)
    assert max(plan.tokens, count_tokens(plan.negative_prompt, None)) <= budget
    assert everything.tokens <= everything.baseline_tokens


@given(ASKED)
def test_tokens_are_those_of_the_given_tokenizer_without_marks(attributes: Attributes) -> None:
    plan = optimize(attributes, tokenizer=Letters(), budget=1000)
    assert plan.tokens == len(plan.prompt.replace(" ", ""))


@given(st.data())
def test_under_clips_tokens_no_prompt_is_longer_than_the_canonical_one(
    clip_tokenizer: Tokenizer, data: st.DataObject
) -> None:
    from prompting import ContradictoryAttributes, describe_attributes

    keys = [d for d in describe_attributes() if d.values]
    chosen = data.draw(st.lists(st.sampled_from(keys), unique_by=lambda d: d.key, max_size=8))
    given = {d.key: data.draw(st.sampled_from(d.values)) for d in chosen}
    try:
        attributes = Attributes(**given)
    except ContradictoryAttributes:
        return
    plan = optimize(attributes, tokenizer=clip_tokenizer, budget=200)
    assert plan.tokens <= count_tokens(structured_prompt(attributes), clip_tokenizer)
    assert plan.tokens <= plan.baseline_tokens
    assert plan.dropped == ()
    assert set(CLOSED) >= {d.key for d in keys if d.is_closed}


def test_every_attribute_has_its_place_among_the_priorities() -> None:
    said = set(Attributes.model_fields) - {"gender", "ancestry", "framing", "exclude"} | {"subject"}
    assert set(priority()) == said


def test_removed_words_are_told_with_the_reason() -> None:
    plan = optimize(text="Please draw a beautiful portrait of a man, masterpiece, 8k, a man")
    assert plan.prompt == "man portrait"
    assert {"beautiful", "masterpiece", "8k"} <= set(plan.removed)
    assert all(d.reason for d in plan.decisions if d.fate == "removed")


@pytest.mark.parametrize("key", ["phrases", "exclude", "background"])
def test_weights_in_free_words_are_refused(key: str) -> None:
    with pytest.raises(InvalidAttribute, match=f"{key}: .*weights are not offered"):
        optimize({key: "(rain:1.3)"})


def test_commas_go_before_anything_that_was_asked_for(clip_tokenizer: Tokenizer) -> None:
    wish = {"gender": "man", "phrases": ["a kite", "a drum", "a lamp"]}
    plan = optimize(wish, tokenizer=clip_tokenizer, budget=8, negative="")
    assert plan.prompt == "man portrait a kite a drum a lamp"
    assert plan.dropped == ()
    assert plan.removed == ("commas",)
