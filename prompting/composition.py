"""Attributes → what a prompt says of them, each in its canonical words and others that mean it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prompting.ages import AgeRange, decade_of
from prompting.layout import SUBJECT
from prompting.lexicon import WORN, lexicon, speech
from prompting.schema import ACCESSORIES, Attributes

PHRASE: Final = "phrases"
SEPARATOR: Final = ", "
# The order in which attributes are said: the captions of the mini bundle's training follow it.
ORDER: Final = (
    "age", "profession", "expression", "eyes", "glasses", "beard", "hat", "earrings", "jewellery",
    "makeup", "marks", "hair_length", "hair_style", "hair", "clothing", "background", "light",
    "view", "lens", "style",
)  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """One thing said: the attribute that asks for it, and its words."""

    attribute: str
    text: str


@dataclass(frozen=True)
class Saying:
    """One thing to be said: all phrasings that mean it, the canonical one first."""

    attribute: str
    phrasings: tuple[str, ...]

    @property
    def canonical(self) -> Segment:
        return Segment(self.attribute, self.phrasings[0])


def sayings_of(attributes: Attributes) -> tuple[Saying, ...]:
    """What the attributes ask for: the subject, then ORDER, then the free phrases."""
    subject = Saying(SUBJECT, tuple(_subjects(attributes)))
    asked = (Saying(name, phrasings_of(name, value)) for name, value in _asked(attributes))
    return (subject, *asked, *(Saying(PHRASE, (phrase,)) for phrase in attributes.phrases))


def segments_of(attributes: Attributes) -> tuple[Segment, ...]:
    """What the attributes ask for, in canonical words and order."""
    return tuple(saying.canonical for saying in sayings_of(attributes))


def phrasings_of(attribute: str, value: object) -> tuple[str, ...]:
    """All words for one value of an attribute: "grey hair"; the first is canonical."""
    phrasings = lexicon()[attribute].phrasings(WORN if value is True else str(value))
    if isinstance(value, AgeRange) and (decade := decade_of(value)):
        return (*phrasings, decade)
    return phrasings


def spoken_as(attribute: str, value: object) -> str:
    """The canonical words for one value of an attribute: "brown hair", "straw hat"."""
    return phrasings_of(attribute, value)[0]


def exclusions_of(attributes: Attributes) -> tuple[str, ...]:
    """What must not be seen: accessories set to false, then the free exclusions; each once."""
    absent = [
        spoken_as(accessory, True)
        for accessory in ACCESSORIES
        if getattr(attributes, accessory) is False
    ]
    return tuple(dict.fromkeys([*absent, *attributes.exclude]))


def joined(texts: Iterable[str], separator: str = SEPARATOR) -> str:
    """Segments as one prompt."""
    return separator.join(texts)


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
    subject = next(_subjects(attributes))
    return joined((f"{_article(subject)} {subject}", *clauses, *attributes.phrases))


def _asked(attributes: Attributes) -> Iterator[tuple[str, object]]:
    """Attributes that are to be seen, with their values, in ORDER; several values one by one."""
    for name in ORDER:
        value = getattr(attributes, name)
        if isinstance(value, tuple):
            yield from ((name, one) for one in value)
        elif value is not None and value is not False:
            yield name, value


def _subjects(attributes: Attributes) -> Iterator[str]:
    """Who is drawn, and how much of them: "portrait of an Asian woman", "Asian woman portrait"."""
    genders = phrasings_of("gender", attributes.gender or "person")
    who = genders
    if attributes.ancestry is not None:
        ancestries = phrasings_of("ancestry", attributes.ancestry)
        who = tuple(f"{ancestry} {gender}" for ancestry in ancestries for gender in genders)
    for template in speech().subject:
        for framing in phrasings_of("framing", attributes.framing or "portrait"):
            for one in who:
                a_who = f"{_article(one)} {one}"
                yield template.format(framing=framing, who=one, a_who=a_who)


def _article(words: str) -> str:
    return "an" if words[0].lower() in "aeiou" else "a"
