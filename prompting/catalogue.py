"""All attributes with what they take and the values they know: what a command or a page lists."""

from dataclasses import dataclass

from prompting.lexicon import WORN, lexicon
from prompting.schema import ACCESSORIES, CLOSED, SEVERAL, Attributes


@dataclass(frozen=True)
class AttributeDescription:
    """One attribute: its key, what it takes in a few words, the values it knows.

    is_closed: whether it takes nothing else. called: other spellings of the key.
    """

    key: str
    takes: str
    is_closed: bool
    values: tuple[str, ...]
    called: tuple[str, ...]


def describe_attributes() -> tuple[AttributeDescription, ...]:
    """Every attribute, in the order of the schema."""
    return tuple(_described(key) for key in Attributes.model_fields)


def _described(key: str) -> AttributeDescription:
    topic = lexicon().topics.get(key)
    if topic is None:
        return AttributeDescription(key, "one phrase or several", False, (), ())
    known = tuple(value for value in topic.entries if value != WORN)
    return AttributeDescription(key, _takes(key), key in CLOSED, known, topic.called)


def _takes(key: str) -> str:
    if key == "age":
        return 'years, a range "30-40", a decade "30s", or a word such as "young"'
    if key in CLOSED:
        return "one of its values"
    if key in ACCESSORIES:
        return 'true, "none", or a word that says which one'
    return "one phrase or several" if key in SEVERAL else "a few words"
