"""Reads the TOML of the lexicon and answers by value (what to say) and by name (what was meant)."""

import functools
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
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
    """One value of an attribute and everything that it is called; README.md explains the fields."""

    value: str
    say: tuple[str, ...] = ()
    hear: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topic:
    """One attribute: its known values in the order of the file, and how free values are said."""

    name: str
    called: tuple[str, ...]
    templates: tuple[str, ...]
    wordy: str
    nouns: frozenset[str]
    parts: Mapping[str, str]  # a noun in another language → in the first
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
        if self.holds_noun(value):
            return (value,)
        return tuple(template.format(value) for template in self.templates)


@dataclass(frozen=True)
class Lexicon:
    """All topics by attribute, and every name that a free text may use."""

    topics: Mapping[str, Topic]
    heard: Mapping[str, tuple[str, str]]  # folded name → (attribute, value)
    heard_before: Mapping[str, tuple[str, str]]  # the same of names that stand before a person
    called: Mapping[str, str]  # another spelling of an attribute's key → the key

    def __getitem__(self, attribute: str) -> Topic:
        return self.topics[attribute]


@functools.cache
def lexicon() -> Lexicon:
    """The lexicon of every language, read once; constant data."""
    tables: dict[str, list[_Table]] = {}
    for file in (file for language in LANGUAGES for file in _files(language)):
        for attribute, table in file.items():
            tables.setdefault(attribute, []).append(table)
    topics = {attribute: _topic(attribute, given) for attribute, given in tables.items()}
    return Lexicon(
        MappingProxyType(topics),
        _named(topics.values(), _heard_anywhere),
        _named(topics.values(), lambda entry: entry.before),
        MappingProxyType({fold(c): topic.name for topic in topics.values() for c in topic.called}),
    )


def _heard_anywhere(entry: Entry) -> tuple[str, ...]:
    before = set(map(fold, entry.before))
    return tuple(name for name in (*entry.say, *entry.hear) if fold(name) not in before)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Values(_Strict):
    """One value as a file gives it."""

    say: tuple[str, ...] = ()
    hear: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


class _Table(_Strict):
    """One attribute as a file gives it."""

    called: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("{}",)
    wordy: str = "{}"
    nouns: frozenset[str] = frozenset()
    parts: dict[str, str] = {}
    values: dict[str, _Values] = {}


def _files(language: str) -> list[dict[str, _Table]]:
    folder = resources.files("prompting.lexicon")
    files = [file for file in folder.iterdir() if file.name.startswith(f"{language}-")]
    return [
        {
            attribute: _Table.model_validate(table)
            for attribute, table in tomllib.loads(file.read_text(encoding="utf-8")).items()
        }
        for file in sorted(files, key=lambda file: file.name)
    ]


def _topic(attribute: str, tables: list[_Table]) -> Topic:
    """Joins one attribute's tables of all languages; templates and nouns are the first one's."""
    entries: dict[str, Entry] = {}
    for table in tables:
        for value, given in table.values.items():
            old = entries.get(value, Entry(value))
            entries[value] = Entry(
                value,
                old.say + given.say,
                old.hear + given.hear,
                old.before + given.before,
                old.also + given.also,
                old.against + given.against,
            )
    names: dict[str, str] = {}
    for entry in entries.values():
        for name in (entry.value, *entry.say, *entry.hear, *entry.before, *entry.also):
            names.setdefault(fold(name), entry.value)
    first = tables[0]
    return Topic(
        attribute,
        tuple(called for table in tables for called in table.called),
        first.templates,
        first.wordy,
        first.nouns,
        MappingProxyType({noun: said for table in tables for noun, said in table.parts.items()}),
        MappingProxyType(entries),
        MappingProxyType(names),
    )


def _named(
    topics: Iterable[Topic], names_of: Callable[[Entry], tuple[str, ...]]
) -> Mapping[str, tuple[str, str]]:
    """Folded names → the attribute and value that they mean."""
    named: dict[str, tuple[str, str]] = {}
    for topic in topics:
        for entry in topic.entries.values():
            for name in names_of(entry):
                named.setdefault(fold(name), (topic.name, entry.value))
    return MappingProxyType(named)
