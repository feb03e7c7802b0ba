"""Free text: what is known becomes attributes, what is not stays, nothing is invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompting import Attributes, UnreadableText
from prompting.lexicon import fold, lexicon
from prompting.parser import MAX_TEXT_CHARACTERS, Reading, read
from prompting.parser.english import ARTICLES, CONNECTIVES, PREPOSITIONS

CASES: list[tuple[str, dict[str, str | bool], tuple[str, ...], tuple[str, ...]]] = [
    (
        "A smiling Asian man who is wearing glasses and looks about 35 years old, standing in a "
        "studio with soft lighting, highly detailed skin texture, sharp focus",
        {
            "gender": "man", "ancestry": "asian", "age": "35", "expression": "smiling",
            "glasses": True, "background": "studio",
        },
        ("standing", "with soft lighting", "highly detailed skin texture", "sharp focus"),
        (),
    ),
    ("portrait of a bearded man", {"gender": "man", "beard": True}, (), ()),
    ("a 30 to 40 years old woman", {"gender": "woman", "age": "30-40"}, (), ()),
    ("woman, age 35, facing left", {"gender": "woman", "age": "35", "view": "left"}, (), ()),
    (
        "She is happy. She has red hair.",
        {"gender": "woman", "expression": "smiling", "hair": "ginger"}, (), (),
    ),
    ("light from the left at night", {"light": "left", "background": "night"}, (), ()),
    ("long silver hair and a straw hat", {"hair": "long silver hair", "hat": "straw hat"}, (), ()),
    (
        "a happy 35 years old smile man",
        {"gender": "man", "age": "35", "expression": "smiling"}, (), (),
    ),
    ("a young woman", {"gender": "woman"}, ("young",), ()),
    # negations
    ("a man without glasses", {"gender": "man", "glasses": False}, (), ()),
    ("no earrings or beard", {"earrings": False, "beard": False}, (), ()),
    (
        "without glasses and a hat and smiling",
        {"glasses": False, "hat": False, "expression": "smiling"}, (), (),
    ),
    ("isn’t wearing a hat", {"hat": False}, (), ()),
    ("not smiling", {}, (), ("smiling",)),
    ("no people in the background", {}, (), ("people in the background",)),
    ("without a dog in the park", {"background": "park"}, (), ("dog",)),
    ("a tower in the background", {}, ("tower in the background",), ()),
    # known words that mean something else here
    ("happy birthday banner", {}, ("happy birthday banner",), ()),
    ("a glass of wine", {}, ("glass of wine",), ()),
    ("in a park ranger uniform", {"clothing": "park ranger uniform"}, (), ()),
    ("a car next to a bearded man", {}, ("car next to a bearded man",), ()),
    ("a 20 year old car", {}, ("20 year old car",), ()),
    ("500 years old wizard", {}, ("500 years old wizard",), ()),
    ("with a cat and a dog", {}, ("with a cat and a dog",), ()),
    # a second value is kept as it was said
    ("man, woman, age 40, age 50", {"gender": "man", "age": "40"}, ("woman", "age 50"), ()),
    # Chinese
    (
        "一位35岁的亚洲女人微笑着戴着眼镜，没有戴帽子，蓝色背景，在飞船里",
        {
            "gender": "woman", "ancestry": "asian", "age": "35", "expression": "smiling",
            "glasses": True, "hat": False, "background": "blue",
        },
        ("在飞船里",),
        (),
    ),
    (
        "30到40岁的男人，不戴眼镜、没有胡子",
        {"gender": "man", "age": "30-40", "glasses": False, "beard": False}, (), (),
    ),
    ("没有纹身", {}, (), ("纹身",)),
    ("无框眼镜", {"glasses": True}, ("无框",), ()),
    ("不微笑", {}, (), ("微笑",)),
    # nothing to say, and nothing that we can read
    ("", {}, (), ()),
    ("and the, with a", {}, (), ()),
    ("🙂 портрет", {}, ("🙂 портрет",), ()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "phrases", "exclude"), CASES, ids=lambda v: str(v)[:40])
def test_a_text_is_read_as_it_is_meant(
    text: str, values: dict[str, str | bool], phrases: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    assert read(text) == Reading(values, phrases, exclude)


VOCABULARY = """
    a the man woman and with without no not glasses hat smiling black hair in park dog castle young
    35 years old , of to background red jacket or round portrait 微笑 没有 帽子 的 女人 城堡
"""
WORDS = st.sampled_from(VOCABULARY.split())


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_what_is_read_can_be_asked_for_and_strange_words_stay(text: str) -> None:
    reading = read(text)
    Attributes(**reading.values)
    said = fold(" ".join([*map(str, reading.values.values()), *reading.phrases, *reading.exclude]))
    for strange in ("dog", "castle", "young", "jacket", "城堡"):
        assert (strange in text) == (strange in said)


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_nothing_is_invented(text: str) -> None:
    reading = read(text)
    for words in (*reading.phrases, *reading.exclude):
        assert set(fold(words).split()) <= set(fold(text.replace(",", " ")).split()) or (
            fold(words) in fold(text)
        )
    for attribute in reading.values:
        if attribute != "age":
            topic = lexicon()[attribute]
            assert any(fold(name) in fold(text) for name in (*topic.names, *topic.nouns))


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    Attributes(**read(text).values)


def test_words_that_hold_a_sentence_together_mean_no_value() -> None:
    assert not (ARTICLES | CONNECTIVES | PREPOSITIONS) & set(lexicon().heard)


@pytest.mark.parametrize("text", ["a (smiling:1.2) man", "[hat: 0.5]", "（微笑：1.3）"])
def test_weights_are_refused_clearly(text: str) -> None:
    with pytest.raises(UnreadableText, match="weights are not offered"):
        read(text)


def test_a_text_beyond_reading_is_refused() -> None:
    assert read("word " * (MAX_TEXT_CHARACTERS // 5)).phrases
    with pytest.raises(UnreadableText, match=str(MAX_TEXT_CHARACTERS)):
        read("x" * (MAX_TEXT_CHARACTERS + 1))
