"""Free text: what is known becomes attributes, what is not stays, nothing is invented."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompting import Attributes, UnreadableText, optimize
from prompting.lexicon import fold, lexicon
from prompting.parser import MAX_TEXT_CHARACTERS, read
from prompting.parser.words import ARTICLES, CONNECTIVES, PREPOSITIONS

Values = dict[str, str | bool | tuple[str, ...]]

CASES: list[tuple[str, Values, tuple[str, ...], tuple[str, ...]]] = [
    (
        "A smiling Asian man who is wearing glasses and looks about 35 years old, standing in a "
        "studio with soft lighting, highly detailed skin texture, sharp focus",
        {
            "gender": "man", "ancestry": "asian", "age": "35", "expression": "smiling",
            "glasses": True, "background": "studio", "light": "soft", "lens": ("sharp focus",),
        },
        ("standing", "skin texture"),
        (),
    ),
    # "red" ends like a participle, and was taken for the start of another thing
    ("man with a curly red beard", {"gender": "man", "beard": "curly red beard"}, (), ()),
    ("a picture of a bearded man", {"gender": "man", "beard": True}, (), ()),
    ("a close-up of a woman", {"gender": "woman", "framing": "close-up"}, (), ()),
    ("an oil painting of a man", {"gender": "man", "style": "oil"}, (), ()),
    ("a 30 to 40 years old woman", {"gender": "woman", "age": "30-40"}, (), ()),
    ("woman, age 35, facing left", {"gender": "woman", "age": "35", "view": "left"}, (), ()),
    (
        "She is happy. She has red hair.",
        {"gender": "woman", "expression": "smiling", "hair": "ginger"}, (), (),
    ),
    ("light from the left at night", {"light": "left", "background": "night"}, (), ()),
    (
        "long silver hair and a straw hat",
        {"hair_length": "long", "hair": "silver", "hat": "straw hat"}, (), (),
    ),
    (
        "His hair is short, dark and curly. The lighting is soft. Mood: calm. Background: white",
        {
            "gender": "man", "hair_length": "short", "hair": "dark", "hair_style": "curly",
            "light": "soft", "expression": "neutral", "background": "white",
        }, (), (),
    ),
    (
        "a happy 35 years old smile man",
        {"gender": "man", "age": "35", "expression": "smiling"}, (), (),
    ),
    ("a young woman", {"gender": "woman", "age": "18-30"}, (), ()),
    (
        "a blue-eyed, bespectacled, red-haired man",
        {"gender": "man", "eyes": "blue", "glasses": True, "hair": "ginger"}, (), (),
    ),
    ("wearing a red dress", {"clothing": "red dress"}, (), ()),
    ("wearing black and gold armor", {"clothing": "black and gold armor"}, (), ()),
    ("wearing a sarong and holding a cup", {"clothing": "sarong"}, ("holding cup",), ()),
    ("a small scar over her left eye", {"gender": "woman", "marks": ("small scar over left eye",)},
     (), ()),
    ("shot on an 85mm lens at f/1.8", {"lens": ("85mm", "f1.8")}, (), ()),
    ("a man in front of a brick wall", {"gender": "man", "background": "brick wall"}, (), ()),
    ("a businesswoman", {"gender": "woman"}, ("business",), ()),
    ("a retired boxer", {"profession": "retired boxer"}, (), ()),
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
    ("please don't put any text or watermark on it", {}, (), ("text", "watermark")),
    ("a tower in the background", {"background": "tower"}, (), ()),
    # known words that mean something else here
    ("happy birthday banner", {}, ("happy birthday banner",), ()),
    ("a glass of wine", {}, ("glass of wine",), ()),
    ("in a park ranger uniform", {"clothing": "park ranger uniform"}, (), ()),
    ("a car next to a bearded man", {}, ("car next to bearded man",), ()),
    ("a 20 year old car", {}, ("20 year old car",), ()),
    ("500 years old wizardry", {}, ("500 years old wizardry",), ()),
    ("with a cat and a dog", {}, ("cat and dog",), ()),
    # a second value is kept as it was said
    ("man, woman, age 40, age 50", {"gender": "man", "age": "40"}, ("woman", "age 50"), ()),
    ("a serious man, determined look", {"gender": "man", "expression": "serious"},
     ("determined",), ()),
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
    (
        "请帮我生成一张四十多岁的男医生的照片，黑色短发，穿着红色的连衣裙，站在图书馆里",
        {
            "gender": "man", "age": "40-49", "profession": "doctor", "hair_length": "short",
            "hair": "black", "clothing": "red dress", "background": "library",
        },
        ("standing",),
        (),
    ),
    ("手里拿着红色的杯子", {}, ("holding red cup",), ()),
    ("左脸有一道伤疤", {"marks": ("left cheek scar",)}, (), ()),
    ("她的女儿们", {"gender": "woman"}, ("女儿们",), ()),
    ("没有纹身", {}, (), ("tattoo",)),
    ("不要背景里的人", {}, (), ("背景里的人",)),
    ("无框眼镜", {"glasses": "rimless glasses"}, (), ()),
    ("不微笑", {}, (), ("smiling",)),
    # nothing to say, and nothing that we can read
    ("", {}, (), ()),
    ("and the, with a", {}, (), ()),
    ("🙂 портрет", {}, ("🙂 портрет",), ()),
    ("日本の女の子, 초상화", {}, ("日本の女の子", "초상화"), ()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "phrases", "exclude"), CASES, ids=lambda v: str(v)[:40])
def test_a_text_is_read_as_it_is_meant(
    text: str, values: Values, phrases: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    reading = read(text)
    assert (reading.values, reading.phrases, reading.exclude) == (values, phrases, exclude)


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
    for strange in ("dog", "castle", "jacket", "城堡"):
        assert (strange in text) == (strange in said)


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_nothing_is_invented(text: str) -> None:
    """Strange words are the text's own; a known second value may be said canonically."""
    reading = read(text)
    given = set(fold(text.replace(",", " ")).split())
    for words in (*reading.phrases, *reading.exclude):
        attribute, value = lexicon().heard.get(fold(words), ("", ""))
        entry = lexicon()[attribute].entries[value] if attribute else None
        names = (*entry.say, *entry.hear, *entry.before) if entry else (words,)
        assert set(fold(words).split()) <= given or any(fold(n) in fold(text) for n in names)
    for attribute in reading.values:
        if attribute != "age":
            topic = lexicon()[attribute]
            assert any(fold(name) in fold(text) for name in (*topic.names, *topic.nouns))


GLUE = "is in the background behind her no or 的 在 背景 八 岁 : . 👩 (a)"
ANYTHING = st.text(max_size=200) | st.lists(WORDS | st.sampled_from(GLUE.split())).map(" ".join)


@given(ANYTHING)
def test_any_text_is_read_or_refused_in_our_words(text: str) -> None:
    try:
        plan = optimize(text=text)
    except UnreadableText:
        assert set("()[]{}（）［］｛｝﹙﹚﹛﹜") & set(unicodedata.normalize("NFKC", text))
    else:
        assert not set("()[]{}") & set(plan.prompt + plan.negative_prompt)


def test_words_that_hold_a_sentence_together_mean_no_value() -> None:
    assert not (ARTICLES | CONNECTIVES | PREPOSITIONS) & set(lexicon().heard)


@pytest.mark.parametrize("text", ["a (smiling:1.2) man", "[hat: 0.5]", "（微笑：1.3）"])
def test_weights_are_refused_clearly(text: str) -> None:
    with pytest.raises(UnreadableText, match="weights are not offered"):
        read(text)


def test_a_text_beyond_reading_is_refused() -> None:
    assert read("word " * (MAX_TEXT_CHARACTERS // 5)).phrases
    assert read("a smiling man, " * 250).values == {"expression": "smiling", "gender": "man"}
    assert read("红色的" * 1000).phrases  # in linear time
    assert read("一位微笑的男人，" * 500).values == {"expression": "smiling", "gender": "man"}
    with pytest.raises(UnreadableText, match=str(MAX_TEXT_CHARACTERS)):
        read("x" * (MAX_TEXT_CHARACTERS + 1))
