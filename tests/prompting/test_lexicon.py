"""The lexicon's data agree with themselves and with the schema."""

import pytest

from prompting import Attributes
from prompting.composition import ORDER
from prompting.lexicon import Topic, fold, lexicon

TOPICS = tuple(lexicon().topics.values())


def test_every_topic_is_an_attribute_and_every_said_attribute_a_topic() -> None:
    assert set(lexicon().topics) <= set(Attributes.model_fields)
    assert {*ORDER, "gender", "ancestry"} == set(lexicon().topics)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_no_name_means_two_values_of_one_topic(topic: Topic) -> None:
    for entry in topic.entries.values():
        assert entry.say, entry
        for name in (entry.value, *entry.say, *entry.hear, *entry.also):
            assert topic.find(name) == entry, name


def test_no_name_in_a_free_text_means_two_things() -> None:
    claims: dict[str, set[tuple[str, str]]] = {}
    for topic in TOPICS:
        for entry in topic.entries.values():
            for name in (*entry.say, *entry.hear):
                claims.setdefault(fold(name), set()).add((topic.name, entry.value))
    assert {name: claim for name, claim in claims.items() if len(claim) > 1} == {}


def test_every_value_is_called_something_in_chinese() -> None:
    unnamed = [
        (topic.name, entry.value)
        for topic in TOPICS
        for entry in topic.entries.values()
        if not any("\u4e00" <= letter <= "\u9fff" for word in entry.hear for letter in word)
    ]
    assert {value for _, value in unnamed} <= {"golden", "dramatic"}
