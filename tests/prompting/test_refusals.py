"""Refusals as people say them: what is refused is never asked for, and nothing is lost."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompting import InvalidAttribute, UnreadableText, optimize, parse_settings
from prompting.lexicon import fold
from prompting.parser import MAX_TEXT_CHARACTERS, read

REFUSED = [
    # a comma does not end a list of refused things
    ("no mustache, beard or glasses", {"mustache", "beard", "glasses"}),
    ("without a hat, glasses or earrings but with a necklace", {"hat", "glasses", "earrings"}),
    ("no makeup, jewelry, or hat", {"makeup", "jewellery", "hat"}),
    ("he is not wearing a hat, glasses, or a tie", {"hat", "glasses", "tie"}),
    ("没有眼镜、胡子、帽子", {"glasses", "beard", "hat"}),
    ("不戴帽子、眼镜", {"hat", "glasses"}),
    ("没有胡子和眼镜的男人", {"beard", "glasses"}),
    ("不要帽子、眼镜和胡子", {"hat", "glasses", "beard"}),
    ("没有眼镜，胡子和帽子", {"glasses", "beard", "hat"}),
    ("不戴帽子、穿西装", {"hat"}),
    ("no hat, red shirt", {"hat"}),
    ("no hat, glasses", {"hat"}),
    ("没有眼镜，红色衬衫", {"glasses"}),
    # other words that refuse
    ("女人，别戴帽子", {"hat"}), ("请勿戴眼镜", {"glasses"}), ("勿戴眼镜", {"glasses"}),
    ("无需眼镜", {"glasses"}), ("不穿西装", {"suit"}), ("摘掉眼镜", {"glasses"}),
    ("不是很老的男人", {"elderly"}), ("neither hat nor glasses", {"hat", "glasses"}),
    ("remove the glasses", {"glasses"}), ("minus the beard", {"beard"}),
    ("a hatless, beardless man", {"hat", "beard"}), ("a glasses-free man", {"glasses"}),
    ("anything but bald", {"bald"}), ("he stopped wearing glasses", {"glasses"}),
    ("I hate glasses", {"glasses"}), ("a man --no hat", {"hat"}),
    ("a man --no hat, glasses", {"hat", "glasses"}),
    # an adjective is refused, not the person
    ("not a smiling man", {"smiling"}), ("a not very old man", {"old"}),
    # answers
    ("hat: yes, glasses: no, beard: none", {"glasses", "beard"}),
    ("眼镜：没有，帽子：有", {"glasses"}), ("glasses is no", {"glasses"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "refused"), REFUSED)
def test_what_is_refused_is_not_asked_for(text: str, refused: set[str]) -> None:
    reading = read(text)
    absent = {name for name, value in reading.values.items() if value is False}
    assert absent | set(reading.exclude) == refused
    asked = fold(optimize(text=text).prompt).replace(",", "").split()
    assert refused.isdisjoint(asked)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("without a hat, glasses or earrings but with a necklace", "necklace"),
        ("no hat, red shirt", "red shirt"), ("没有眼镜，红色衬衫", "red shirt"),
        ("不戴帽子、穿西装", "suit"), ("not a smiling man", "man"), ("a not very old man", "man"),
        ("a hatless man", "man"), ("hat: yes, glasses: no", "hat"), ("眼镜：没有，帽子：有", "hat"),
        ("never without her glasses", "glasses"), ("不是不戴眼镜", "glasses"),
        ("不得不戴眼镜", "glasses"), ("don't forget the glasses", "glasses"),
        ("不要忘记眼镜", "glasses"), ("她特别漂亮，戴帽子", "hat"), ("不对称短发", "short hair"),
    ],
)  # fmt: skip
def test_what_stands_beside_a_refusal_is_asked_for(text: str, asked: str) -> None:
    plan = optimize(text=text)
    assert asked in plan.prompt
    assert asked not in plan.negative_prompt


def test_a_refusal_that_is_not_understood_stays_a_phrase() -> None:
    assert read("不怎么适合眼镜").values == {}
    assert read("不怎么适合眼镜").phrases == ("不怎么适合眼镜",)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("十七八岁的少女", "17-18"), ("八九岁的男孩", "8-9"), ("七八十岁的老人", "70-80"),
        ("两岁半的女孩", "2"), ("一百岁的老人", "100"), ("一百零三岁", "103"),
        ("三十出头的男人", "30-34"), ("三十岁出头", "30-34"), ("十七、八岁", "17-18"),
    ],
)  # fmt: skip
def test_a_chinese_age_is_read_whole(text: str, age: str) -> None:
    reading = read(text)
    assert reading.values["age"] == age
    assert not any(phrase.startswith(("十", "七", "age")) for phrase in reading.phrases)


def test_part_of_a_numeral_is_no_age() -> None:
    assert "age" not in read("五百八岁").values


@pytest.mark.parametrize("setting", ["background=none", "marks=none", "clothing=true",
                                     "glasses=maybe", "hair=没有"])  # fmt: skip
def test_an_answer_is_no_value(setting: str) -> None:
    with pytest.raises(InvalidAttribute, match="takes"):
        parse_settings([setting])
    assert parse_settings(["age=sixty"]).age == 60
    assert (parse_settings(["hat=0"]).hat, parse_settings(["hat=1"]).hat) == (False, True)


@pytest.mark.parametrize("text", ["man:1.3", "hat::2", "smiling++", "hat--", "微笑：1.3"])
def test_weights_without_brackets_are_refused(text: str) -> None:
    with pytest.raises(UnreadableText, match="weights are not offered"):
        optimize(text=text)


@pytest.mark.parametrize("text", ["16:9", "age:35", "C++ programmer", "shot at f/1.8"])
def test_what_looks_like_a_weight_is_read(text: str) -> None:
    assert optimize(text=text).prompt


@pytest.mark.parametrize("part", ["红", "不", "女", "没有眼镜、", "no hat, ", "--no a,", "a "])
def test_the_longest_text_is_read_in_no_time(part: str) -> None:
    optimize(text="红")
    start = time.process_time()
    optimize(text=(part * MAX_TEXT_CHARACTERS)[:MAX_TEXT_CHARACTERS])
    assert time.process_time() - start < 1  # 0.2 s where it is idle


CONTENT = [
    "glasses", "hat", "beard", "castle", "dragon", "smiling", "bald", "old", "woman", "doctor",
    "earrings", "scarf", "quux", "zorb", "眼镜", "帽子", "城堡", "胡子", "飞船",
]  # fmt: skip
BETWEEN = [
    "no",
    "without",
    "not",
    "with",
    "and",
    "or",
    ",",
    ".",
    ":",
    "没有",
    "和",
    "、",
    "is",
    "a",
]


@given(st.lists(st.sampled_from([*CONTENT, *BETWEEN]), max_size=12))
def test_no_word_is_lost(words: list[str]) -> None:
    plan = optimize(text=" ".join(words), budget=10_000)
    told = [plan.prompt, plan.negative_prompt, *plan.kept, *plan.dropped, *plan.removed]
    told += [part for d in plan.decisions for part in (d.words, d.said, d.reason)]
    found = fold(" ".join(told))
    meant = {
        "眼镜": "glasses",
        "帽子": "hat",
        "胡子": "beard",
        "old": "elderly",
        "doctor": "doctor",
    }
    for word in CONTENT:
        if word in words:
            assert word in found or meant.get(word, word) in found, word
