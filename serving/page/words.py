"""What the page says, in English and Chinese: texts, values of attributes, named looks; data."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DEFAULT_LANGUAGE: Final[Language] = "en"
LANGUAGE_COOKIE: Final = "limner_language"

# An L, so that no browser goes looking for an icon elsewhere.
ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect "
    "width='32' height='32' rx='9' fill='%239a3f2b'/%3E%3Cpath d='M11 7v17h11' fill='none' "
    "stroke='%23fffaf5' stroke-width='3.4' stroke-linecap='round' stroke-linejoin='round'/%3E"
    "%3C/svg%3E"
)
_FIRST_OF_TWO: Final = re.compile(r"\s*([a-zA-Z]{1,8})")


@dataclass(frozen=True)
class Preset:
    """A named look: the attributes it fills; it leaves all others open."""

    name: str
    titles: Mapping[Language, str]
    attributes: Mapping[str, str | int | bool]


@dataclass(frozen=True)
class Words:
    """The page's texts in one language."""

    language: Language
    texts: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]

    def __call__(self, key: str, **filled: object) -> str:
        """The text of a key such as "people.title", its {names} filled. Raises KeyError."""
        text = self.texts[key]
        return text.format(**filled) if filled else text

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self.texts

    def value(self, attribute: str, value: str) -> str:
        """What a value of an attribute is called; one that has no name is called as it is."""
        named = self.values.get(attribute, {}).get(value)
        if named is not None:
            return named
        return value[:1].upper() + value[1:]


@cache
def words(language: Language) -> Words:
    """Everything the page says in a language."""
    tables = _read("words.toml")
    texts = {
        f"{section}.{key}": said[language]
        for section, entries in tables.items()
        for key, said in entries.items()
    }
    return Words(language, texts, _read("values.toml") if language == "zh" else {})


@cache
def presets() -> tuple[Preset, ...]:
    """The named looks, in the order they are shown."""
    return tuple(
        Preset(look["name"], {lang: look[lang] for lang in LANGUAGES}, look["attributes"])
        for look in _read("looks.toml")["look"]
    )


def chosen_language(cookie: str | None, accept_language: str | None) -> Language:
    """The language a visitor chose, else the one their browser asks for first."""
    for language in LANGUAGES:
        if cookie == language:
            return language
    for wanted in (accept_language or "").split(","):
        found = _FIRST_OF_TWO.match(wanted)
        for language in LANGUAGES:
            if found and found[1].lower() == language:
                return language
    return DEFAULT_LANGUAGE


def other_language(language: Language) -> Language:
    """The one that the switch leads to."""
    return "zh" if language == "en" else "en"


def static_text(name: str) -> str:
    """A file of static/, as text."""
    return (files("serving.page") / "static" / name).read_text(encoding="utf-8")


def _read(name: str) -> dict[str, Mapping]:  # type: ignore[type-arg]  # TOML, checked by a test
    return tomllib.loads((files("serving.page") / name).read_text(encoding="utf-8"))
