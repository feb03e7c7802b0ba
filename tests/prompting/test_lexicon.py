"""The lexicon's data agree with themselves, with the schema, and with the parser."""

import pytest

from prompting import Attributes
from prompting.composition import ORDER, phrasings_of
from prompting.layout import IN_SUBJECT
from prompting.lexicon import WORN, Topic, fold, lexicon, speech
from prompting.parser import read
from prompting.schema import SEVERAL

TOPICS = tuple(lexicon().topics.values())
VALUES = tuple((topic.name, entry.value) for topic in TOPICS for entry in topic.entries.values())
# What the mini bundle's captions say; it never changes.
CANONICAL = {
    "gender": ["woman", "man", "person"],
    "expression": ["neutral", "smiling", "surprised", "sad", "laughing", "angry", "serious"],
    "glasses": ["glasses"],
    "beard": ["beard"],
    "hat": ["hat"],
    "earrings": ["earrings"],
    "hair": ["black hair", "brown hair", "blond hair", "ginger hair"],
    "clothing": [f"{colour} shirt" for colour in ("red", "white", "purple", "orange", "teal")],
    "background": [
        f"{place} background"
        for place in ("blue", "green", "pink", "yellow", "grey", "park", "beach", "sunset", "night")
    ],
    "light": ["soft front light", "light from the left", "light from the right"],
    "view": ["facing the viewer", "facing left", "facing right"],
}


def test_every_topic_is_an_attribute_and_every_said_attribute_a_topic() -> None:
    assert set(lexicon().topics) <= set(Attributes.model_fields)
    assert {*ORDER, *IN_SUBJECT} == set(lexicon().topics)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_no_name_means_two_values_of_one_topic(topic: Topic) -> None:
    for entry in topic.entries.values():
        assert entry.say, entry
        for name in (entry.value, *entry.say, *entry.hear, *entry.before, *entry.also):
            assert topic.find(name) == entry, name


def test_no_name_in_a_free_text_means_two_things() -> None:
    claims: dict[str, set[tuple[str, str]]] = {}
    for topic in TOPICS:
        for entry in topic.entries.values():
            for name in {*entry.say, *entry.hear} - set(entry.before):
                claims.setdefault(fold(name), set()).add((topic.name, entry.value))
    assert {name: claim for name, claim in claims.items() if len(claim) > 1} == {}


def test_no_other_spelling_of_a_key_means_two_keys() -> None:
    called = [fold(name) for topic in TOPICS for name in topic.called]
    assert len(called) == len(set(called))
    assert not set(called) & {fold(key) for key in Attributes.model_fields}


def test_every_value_is_called_something_in_chinese() -> None:
    unnamed = [
        (topic.name, entry.value)
        for topic in TOPICS
        for entry in topic.entries.values()
        if not any("\u4e00" <= letter <= "\u9fff" for word in entry.hear for letter in word)
    ]
    assert unnamed == []


@pytest.mark.parametrize("attribute", CANONICAL)
def test_the_drawn_world_is_said_as_it_was_trained(attribute: str) -> None:
    said = [entry.say[0] for entry in lexicon()[attribute].entries.values()]
    assert [words for words in CANONICAL[attribute] if words not in said] == []


@pytest.mark.parametrize(("attribute", "value"), VALUES, ids=lambda v: str(v))
def test_every_phrasing_is_heard_as_its_value(attribute: str, value: str) -> None:
    """Said about a person, where it is a word that stands before one."""
    entry = lexicon()[attribute].entries[value]
    heard: object = (value,) if attribute in SEVERAL else True if value == WORN else value
    for words in (*entry.say, *entry.hear):
        if fold(words) in {fold(name) for name in entry.before}:
            assert read(f"{words} woman").values[attribute] == heard, words
        elif words not in {"她", "他"}:
            values = dict(read(words).values)
            if attribute != "gender":
                values.pop("gender", None)  # "in his teens" tells it, too
            assert values == {attribute: heard}, words


@pytest.mark.parametrize("age", ["35", "30-40", "30s", "mid 40s", "late 20s", "young", "elderly"])
def test_every_phrasing_of_an_age_is_heard_as_that_age(age: str) -> None:
    years = Attributes(age=age).age
    for words in phrasings_of("age", years):
        assert Attributes(**read(words).values).age == years, words


def test_free_values_are_heard_as_they_are_said() -> None:
    free = {
        "eyes": "amber", "hair": "neon pink", "clothing": "leather jacket", "hat": "straw hat",
        "earrings": "pearl earrings", "jewellery": "pearl necklace", "beard": "long white beard",
        "makeup": "red lipstick", "background": "busy street", "glasses": "round glasses",
    }  # fmt: skip
    for attribute, value in free.items():
        assert read(phrasings_of(attribute, value)[0]).values == {attribute: value}


def test_what_carries_nothing_is_no_value() -> None:
    assert not speech().fillers & set(lexicon().heard)
    assert not set(speech().chinese_fillers) & set(lexicon().heard)
