"""Attributes → the ordered segments of a prompt, each attribute in its canonical words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prompting.lexicon import WORN, lexicon
from prompting.schema import ACCESSORIES, Attributes

SUBJECT: Final = "subject"
PHRASE: Final = "phrases"
# The order in which attributes are said: the captions of the mini bundle's training follow it.
ORDER: Final = (
    "age", "profession", "expression", *ACCESSORIES, "hair", "clothing", "background", "light",
    "view", "style",
)  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """One thing said: the attribute that asks for it, and its words."""

    attribute: str
    text: str


def segments_of(attributes: Attributes) -> tuple[Segment, ...]:
    """What the attributes ask for: the subject, then ORDER, then the free phrases."""
    subject = Segment(SUBJECT, f"portrait of {_subject(attributes)}")
    spoken = (Segment(name, spoken_as(name, value)) for name, value in _asked(attributes))
    phrases = (Segment(PHRASE, phrase) for phrase in attributes.phrases)
    return (subject, *spoken, *phrases)


def spoken_as(attribute: str, value: object) -> str:
    """The canonical words for one value of an attribute: "brown hair", "straw hat"."""
    return lexicon()[attribute].phrasings(WORN if value is True else str(value))[0]


def exclusions_of(attributes: Attributes) -> tuple[str, ...]:
    """What must not be seen: accessories set to false, then the free exclusions; each once."""
    absent = [
        spoken_as(accessory, True)
        for accessory in ACCESSORIES
        if getattr(attributes, accessory) is False
    ]
    return tuple(dict.fromkeys([*absent, *attributes.exclude]))


def joined(texts: Iterable[str]) -> str:
    """Segments as one prompt."""
    return ", ".join(texts)


def structured_prompt(attributes: Attributes) -> str:
    """The canonical prompt: every attribute that is set and true, in a fixed order and wording.

    "portrait of a woman, age 35, smiling, glasses, brown hair, red shirt, blue background,
    light from the left, facing left". The mini bundle is trained on exactly these words.
    """
    return joined(segment.text for segment in segments_of(attributes))


def wordy_prompt(attributes: Attributes) -> str:
    """A sentence that says the same as the structured prompt, as people write it.

    Made of the lexicon's `wordy` templates, without praise or filler: the honest baseline that a
    plan's tokens are compared with.
    """
    clauses = (
        lexicon()[name].wordy.format(value if name == "age" else spoken_as(name, value))
        for name, value in _asked(attributes)
    )
    return joined((f"a portrait of {_subject(attributes)}", *clauses, *attributes.phrases))


def _asked(attributes: Attributes) -> Iterator[tuple[str, object]]:
    """Attributes that are to be seen, with their values, in ORDER."""
    for name in ORDER:
        value = getattr(attributes, name)
        if value is not None and value is not False:
            yield name, value


def _subject(attributes: Attributes) -> str:
    """Who is drawn, with an article: "an Asian woman"."""
    noun = spoken_as("gender", attributes.gender or "person")
    if attributes.ancestry is not None:
        noun = f"{spoken_as('ancestry', attributes.ancestry)} {noun}"
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
