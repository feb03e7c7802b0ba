"""Reads speech.toml: how a subject is said, what carries nothing, what is never to be drawn."""

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from prompting.lexicon.reader import fold


@dataclass(frozen=True)
class Speech:
    """How people speak about pictures; speech.toml explains the fields.

    fillers: English, folded; alone: filler only where nothing else is said.
    chinese_fillers, chinese_bonds: longest first.
    """

    subject: tuple[str, ...]
    negative: tuple[str, ...]
    media: frozenset[str]
    fillers: frozenset[str]
    alone: frozenset[str]
    frames: re.Pattern[str]
    chinese_fillers: tuple[str, ...]
    chinese_frames: re.Pattern[str]
    chinese_bonds: tuple[str, ...]
    chinese_words: Mapping[str, str]
    rewritten: Mapping[str, str]
    reduced: tuple[tuple[re.Pattern[str], str], ...]
    pronouns: Mapping[str, str]
    modifiers: Mapping[str, str]
    places: Mapping[str, str]

    @property
    def longest_filler(self) -> int:
        """Words of the longest English filler."""
        return max(len(filler.split()) for filler in self.fillers)


@functools.cache
def speech() -> Speech:
    """The data of speech.toml, read once; constant."""
    source = resources.files("prompting.lexicon").joinpath("speech.toml")
    file = _File.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
    return Speech(
        subject=file.subject,
        negative=file.negative,
        media=frozenset(file.en.media),
        fillers=frozenset(map(fold, file.en.fillers)),
        alone=frozenset(map(fold, file.en.alone)),
        frames=_any_of(file.en.frames),
        chinese_fillers=_longest_first(file.zh.fillers),
        chinese_frames=_any_of(file.zh.frames),
        chinese_bonds=_longest_first(file.zh.bonds),
        chinese_words=MappingProxyType(file.zh.words),
        rewritten=MappingProxyType({fold(word): to for word, to in file.en.rewritten.items()}),
        reduced=tuple((re.compile(long, re.IGNORECASE), short) for long, short in file.en.reduced),
        pronouns=MappingProxyType(file.en.pronouns),
        modifiers=MappingProxyType({**file.zh.places, **file.zh.modifiers}),
        places=MappingProxyType(file.zh.places),
    )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _English(_Strict):
    media: tuple[str, ...]
    fillers: tuple[str, ...]
    alone: tuple[str, ...]
    frames: tuple[str, ...]
    reduced: tuple[tuple[str, str], ...]
    pronouns: dict[str, str]
    rewritten: dict[str, str]


class _Chinese(_Strict):
    fillers: tuple[str, ...]
    frames: tuple[str, ...]
    bonds: tuple[str, ...]
    words: dict[str, str]
    places: dict[str, str]
    modifiers: dict[str, str]


class _File(_Strict):
    subject: tuple[str, ...]
    negative: tuple[str, ...]
    en: _English
    zh: _Chinese


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


def _longest_first(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(words, key=len, reverse=True))
