"""Ages: numbers, ranges, and the decades that are shorter to say."""

import pytest

from prompting import AgeRange, Attributes, structured_prompt
from prompting.ages import age_of, decade_of
from prompting.parser import read


@pytest.mark.parametrize(
    ("age", "name"),
    [
        (AgeRange(30, 39), "30s"), (AgeRange(34, 36), "mid 30s"), (AgeRange(20, 23), "early 20s"),
        (AgeRange(57, 59), "late 50s"), (AgeRange(30, 40), None), (AgeRange(1, 9), None),
    ],
)  # fmt: skip
def test_a_decade_has_a_name_that_means_it(age: AgeRange, name: str | None) -> None:
    assert decade_of(age) == name
    assert name is None or age_of(name) == age


def test_the_canonical_words_are_those_that_were_trained() -> None:
    for given, said in ((35, "age 35"), ("30s", "age 30-39"), ("13-19", "age 13-19")):
        assert structured_prompt(Attributes(age=given)) == f"portrait of a person, {said}"


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("a 35-year-old woman", "35"), ("a woman of 35 years of age", "35"), ("man, 26 y.o", "26"),
        ("a thirty-five year old man", "35"), ("a man aged about 60", "60"), ("woman, 29", "29"),
        ("a man in his forties", "40-49"), ("a woman in her early 30s", "30-33"),
        ("man, mid-fifties", "54-56"), ("She is around sixty.", "60"), ("she's 58", "58"),
        ("a 30 to 40 years old woman", "30-40"), ("an old man", "65-85"), ("a teenager", "13-19"),
        ("a young woman", "18-30"), ("a middle-aged man", "40-55"), ("an old man, 72", "72"),
        ("三十五岁的女人", "35"), ("四十多岁", "40-49"), ("二十来岁", "20-29"), ("十八岁", "18"),
        ("五十岁左右的男人", "50"), ("30到40岁", "30-40"), ("一位老人", "65-85"),
        ("中年男人", "40-55"), ("老农民", "65-85"), ("八岁的男孩", "8"),
    ],
)  # fmt: skip
def test_ages_are_read_in_many_words(text: str, age: str) -> None:
    assert read(text).values["age"] == age


@pytest.mark.parametrize(
    "text", ["a 20 year old car", "500 years old wizardry", "1920s dress", "house of 35 rooms"]
)
def test_numbers_of_something_else_are_no_age(text: str) -> None:
    assert "age" not in read(text).values
