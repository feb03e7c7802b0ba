"""Reads the TOML of the lexicon and answers by value (what to say) and by name (what was meant)."""

import functools
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

LANGUAGES = ("en", "zh")  # the first one says, all are heard
WORN = "true"  # the value of an accessory that is worn


def fold(word: str) -> str:
    """A word in the form in which words are compared: NFKC, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", word).lower().replace("_", " ").split())


@dataclass(frozen=True)
class Entry:
    """One value of an attribute and everything that it is called; en.toml explains the fields."""

    value: str
    say: tuple[str, ...]
    hear: tuple[str, ...]
    also: tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """One attribute: its known values in the order of the file, and how free values are said."""

    name: str
    template: str
    wordy: str
    nouns: frozenset[str]
    entries: Mapping[str, Entry]
    names: Mapping[str, str]  # folded name → value

    def find(self, word: str) -> Entry | None:
        """The entry that this word means, by its value or any of its names."""
        value = self.names.get(fold(word))
        return None if value is None else self.entries[value]

    def holds_noun(self, words: str) -> bool:
        """Whether the words name the thing themselves ("straw hat"): no noun need follow."""
        return not self.nouns.isdisjoint(fold(words).replace("-", " ").split())

    def phrasings(self, value: str) -> tuple[str, ...]:
        """What says this value, known or free; the first is canonical."""
        entry = self.entries.get(value)
        if entry is not None:
            return entry.say
        return (value,) if self.holds_noun(value) else (self.template.format(value),)


@dataclass(frozen=True)
class Lexicon:
    """All topics by attribute, and every name that a free text may use."""

    topics: Mapping[str, Topic]
    heard: Mapping[str, tuple[str, str]]  # folded name → (attribute, value)

    def __getitem__(self, attribute: str) -> Topic:
        return self.topics[attribute]


@functools.cache
def lexicon() -> Lexicon:
    """The lexicon of every language, read once; constant data."""
    files = [_read(language) for language in LANGUAGES]
    attributes = dict.fromkeys(name for file in files for name in file)
    topics = {
        attribute: _topic(attribute, [file[attribute] for file in files if attribute in file])
        for attribute in attributes
    }
    heard: dict[str, tuple[str, str]] = {}
    for topic in topics.values():
        for entry in topic.entries.values():
            for name in (*entry.say, *entry.hear):
                heard.setdefault(fold(name), (topic.name, entry.value))
    return Lexicon(MappingProxyType(topics), MappingProxyType(heard))


class _Values(BaseModel):
    """One value as a file gives it."""

    model_config = ConfigDict(extra="forbid")
    say: tuple[str, ...] = ()
    hear: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


class _Table(BaseModel):
    """One attribute as a file gives it."""

    model_config = ConfigDict(extra="forbid")
    template: str = "{}"
    wordy: str = "{}"
    nouns: frozenset[str] = frozenset()
    values: dict[str, _Values] = {}


def _read(language: str) -> dict[str, _Table]:
    source = resources.files("prompting.lexicon").joinpath(f"{language}.toml")
    tables = tomllib.loads(source.read_text(encoding="utf-8"))
    return {attribute: _Table.model_validate(table) for attribute, table in tables.items()}


def _topic(attribute: str, tables: list[_Table]) -> Topic:
    """Joins one attribute's tables of all languages."""
    entries: dict[str, Entry] = {}
    for table in tables:
        for value, given in table.values.items():
            old = entries.get(value, Entry(value, (), (), ()))
            entries[value] = Entry(
                value, old.say + given.say, old.hear + given.hear, old.also + given.also
            )
    names: dict[str, str] = {}
    for entry in entries.values():
        for name in (entry.value, *entry.say, *entry.hear, *entry.also):
            names.setdefault(fold(name), entry.value)
    first = tables[0]
    return Topic(
        attribute,
        first.template,
        first.wordy,
        first.nouns,
        MappingProxyType(entries),
        MappingProxyType(names),
    )
