"""The typed schema of a portrait: what `--set`, the API and the A/B runs take."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from prompting.errors import InvalidAttribute, UnknownAttribute, shown, suggestion
from prompting.lexicon import fold, lexicon
from prompting.weights import refuse_weights

MAX_WORD_CHARACTERS: Final = 60
MAX_PHRASE_CHARACTERS: Final = 400
MAX_PHRASES: Final = 32
YOUNGEST_YEARS: Final = 1
OLDEST_YEARS: Final = 120

ACCESSORIES: Final = ("glasses", "beard", "hat", "earrings")
YES: Final = frozenset({"true", "yes", "on", "是", "有"})
NO: Final = frozenset({"false", "no", "off", "none", "without", "否", "无", "没有"})


@dataclass(frozen=True, order=True)
class AgeRange:
    """An age between two, in years, both included."""

    youngest: int
    oldest: int

    def __str__(self) -> str:
        return f"{self.youngest}-{self.oldest}"


def _clean(value: object, limit: int) -> str:
    """A string in normal form: NFKC, no control characters, single spaces."""
    if not isinstance(value, str):
        raise ValueError(f"takes words, not {shown(repr(value))}")
    text = unicodedata.normalize("NFKC", value)
    text = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
    text = " ".join(text.split()).strip(" ,;.")
    if not text:
        raise ValueError("is empty: give a word, or leave the attribute out")
    if len(text) > limit:
        raise ValueError(f"is {len(text)} characters long, the limit is {limit}: say it shorter")
    refuse_weights(text)
    return text


def _closed(attribute: str) -> Callable[[object], object]:
    """One of the lexicon's values, by any of its names."""

    def check(value: object) -> object:
        if value is None:
            return None
        topic = lexicon()[attribute]
        word = _clean(value, MAX_PHRASE_CHARACTERS)
        entry = topic.find(word)
        if entry is None:
            known = suggestion(word, topic.entries)
            raise ValueError(f'"{shown(word)}" is none of its values{known}')
        return entry.value

    return check


def _open(attribute: str) -> Callable[[object], object]:
    """Free words; those the lexicon knows take its value."""

    def check(value: object) -> object:
        if value is None:
            return None
        word = _clean(value, MAX_WORD_CHARACTERS)
        entry = lexicon()[attribute].find(word)
        return word if entry is None else entry.value

    return check


def _accessory(attribute: str) -> Callable[[object], object]:
    """Worn (true), not worn (false, "none"), or a word that says which one ("round")."""

    def check(value: object) -> object:
        if value is None or isinstance(value, bool):
            return value
        word = _clean(value, MAX_WORD_CHARACTERS)
        if fold(word) in NO:
            return False
        if fold(word) in YES or lexicon()[attribute].find(word) is not None:
            return True
        return word

    return check


def _age(value: object) -> object:
    """A number of years, a range "30-40", or a decade "30s"."""
    if value is None or isinstance(value, AgeRange):
        return value
    expected = f'a whole number from {YOUNGEST_YEARS} to {OLDEST_YEARS} or a range such as "30-40"'
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"takes {expected}, not {shown(repr(value))}")
    word = fold(str(value))
    if decade := re.fullmatch(r"([1-9]0)s", word):
        years = [int(decade[1]), int(decade[1]) + 9]
    elif matched := re.fullmatch(r"([0-9]{1,3})(?: ?(?:-|–|to|~) ?([0-9]{1,3}))?", word):
        years = [int(part) for part in matched.groups() if part is not None]
    else:
        raise ValueError(f'takes {expected}, not "{shown(word)}"')
    if not all(YOUNGEST_YEARS <= year <= OLDEST_YEARS for year in years):
        raise ValueError(f"{word} is out of range: it takes {expected}")
    if years[0] > years[-1]:
        raise ValueError(f'the range {word} runs backwards: did you mean "{years[1]}-{years[0]}"?')
    return years[0] if years[0] == years[-1] else AgeRange(years[0], years[1])


def _phrases(value: object) -> object:
    """One phrase or several; each is kept once, in the order given."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ValueError(f"takes phrases, not {shown(repr(value))}")
    if len(given) > MAX_PHRASES:
        raise ValueError(f"takes at most {MAX_PHRASES} phrases, not {len(given)}")
    return tuple(dict.fromkeys(_clean(phrase, MAX_PHRASE_CHARACTERS) for phrase in given))


def _written_age(age: int | AgeRange | None) -> int | str | None:
    """An age as JSON has it: a range is a word again."""
    return str(age) if isinstance(age, AgeRange) else age


Age = Annotated[
    int | AgeRange | None,
    BeforeValidator(_age),
    PlainSerializer(_written_age),
]
Phrases = Annotated[tuple[str, ...], BeforeValidator(_phrases)]


class Attributes(BaseModel):
    """What a portrait should show; what is None is left to the picture.

    Accessories take true, false ("none"), or a word that says which one ("round"). Closed
    vocabularies (gender, expression, light, view) take the lexicon's values by any of their names,
    English or Chinese; the others take free words up to MAX_WORD_CHARACTERS.
    Raises UnknownAttribute, InvalidAttribute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gender: Annotated[str | None, BeforeValidator(_closed("gender"))] = None
    ancestry: Annotated[str | None, BeforeValidator(_open("ancestry"))] = None
    age: Age = None
    profession: Annotated[str | None, BeforeValidator(_open("profession"))] = None
    expression: Annotated[str | None, BeforeValidator(_closed("expression"))] = None
    glasses: Annotated[bool | str | None, BeforeValidator(_accessory("glasses"))] = None
    beard: Annotated[bool | str | None, BeforeValidator(_accessory("beard"))] = None
    hat: Annotated[bool | str | None, BeforeValidator(_accessory("hat"))] = None
    earrings: Annotated[bool | str | None, BeforeValidator(_accessory("earrings"))] = None
    hair: Annotated[str | None, BeforeValidator(_open("hair"))] = None
    clothing: Annotated[str | None, BeforeValidator(_open("clothing"))] = None
    background: Annotated[str | None, BeforeValidator(_open("background"))] = None
    light: Annotated[str | None, BeforeValidator(_closed("light"))] = None
    view: Annotated[str | None, BeforeValidator(_closed("view"))] = None
    style: Annotated[str | None, BeforeValidator(_open("style"))] = None
    phrases: Phrases = ()
    exclude: Phrases = ()

    def __init__(self, **given: object) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise _translated(error) from error


def _translated(error: ValidationError) -> UnknownAttribute | InvalidAttribute:
    """The first of pydantic's complaints in our own words."""
    first = error.errors(include_url=False)[0]
    key = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return UnknownAttribute(key, Attributes.model_fields)
    cause = first.get("ctx", {}).get("error")
    return InvalidAttribute(key, str(cause) if cause is not None else first["msg"])
