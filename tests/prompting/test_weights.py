"""Weights and brackets: never tokenised as punctuation."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompting import InvalidAttribute, UnreadableText, optimize
from prompting.weights import without_brackets


@pytest.mark.parametrize(
    "text",
    [
        "(word:1.2)", "[hat: 0.5]", "（微笑：1.3）", "<lora:face:0.8>", "((word))", "[[word]]",
        "([word])", "((word", "(word:1.2", "word:1.2)", "word)", "[word", "(word]", "{a man",
    ],
)  # fmt: skip
def test_weights_and_what_is_left_of_them_are_refused_clearly(text: str) -> None:
    with pytest.raises(UnreadableText, match="weights are not offered") as caught:
        optimize(text=f"a man, {text}")
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidAttribute, match=r"^hair: .*weights are not offered"):
        optimize({"hair": text})
    with pytest.raises(InvalidAttribute, match=r"^negative: .*weights are not offered"):
        optimize(negative=text)


def test_plain_brackets_set_words_apart() -> None:
    assert optimize(text="a man (60 years old) [smiling]").prompt == "man portrait, smiling, age 60"
    assert optimize({"phrases": ["a sign (red)"]}).prompt == "person portrait, a sign red"


@given(st.text("ab ()[]{}:.12,", max_size=30))
def test_no_bracket_survives(text: str) -> None:
    with contextlib.suppress(UnreadableText):
        assert not set("()[]{}") & set(without_brackets(text, ","))
