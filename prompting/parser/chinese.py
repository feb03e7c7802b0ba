"""Reads one Chinese clause: the longest known names are attributes, what lies between is kept."""

import functools
import re
from typing import Final

from prompting.lexicon import fold, lexicon
from prompting.parser.reading import Notes, years_of

HAN: Final = re.compile(r"[\u3400-\u9fff]")
_AGE: Final = re.compile(r"(?:年龄)?(\d{1,3})(?:\s*(?:-|–|~|到|至)\s*(\d{1,3}))?\s*岁")
_NEGATION: Final = re.compile(r"(?:没有|不要|没|不|无)(?:佩戴|戴着|戴|带着|带|留着|留|穿着|穿|有)?")
_OPEN_NEGATION: Final = re.compile(r"(?:没有|不要)(?:佩戴|戴着|戴|带着|带|留着|留|穿着|穿)?")
# Words that hold a sentence together: at the edge of a rest they ask for nothing.
_FRAME: Final = r"(?:一位|一个|一名|一张|的|着|和|与|并且|并|且|戴着|戴|穿着|穿|肖像|人像|画像|\s)+"
_LEADING: Final = re.compile(rf"^{_FRAME}")
_TRAILING: Final = re.compile(rf"{_FRAME}$")


def read_chinese(clause: str, notes: Notes) -> None:
    """Notes down what one clause asks for."""
    at = unknown_from = 0
    while at < len(clause):
        end = _read_at(clause, at, unknown_from, notes)
        if end is None:
            at += 1
        else:
            at = unknown_from = end
    _keep(clause[unknown_from:], notes)


def _read_at(clause: str, at: int, unknown_from: int, notes: Notes) -> int | None:
    """Reads what begins at a position, after keeping the unknown before it; its end, or None."""
    before = clause[unknown_from:at]
    if (aged := _AGE.match(clause, at)) and (years := years_of(aged)) is not None:
        _keep(before, notes)
        notes.ask("age", years, aged[0])
        return aged.end()
    if (negation := _NEGATION.match(clause, at)) and (end := _known(clause, negation.end())):
        _keep(before, notes)
        notes.refuse(clause[negation.end() : end])
        return end
    if (negation := _OPEN_NEGATION.match(clause, at)) and negation.end() < len(clause):
        _keep(before, notes)
        notes.refuse(clause[negation.end() :])
        return len(clause)
    if (end := _known(clause, at)) is not None:
        _keep(before, notes)
        attribute, value = lexicon().heard[fold(clause[at:end])]
        notes.ask(attribute, value, clause[at:end])
        return end
    return None


def _known(clause: str, at: int) -> int | None:
    """The end of the longest known Chinese name that begins here."""
    for end in range(min(len(clause), at + _longest()), at, -1):
        if HAN.match(clause, at) and fold(clause[at:end]) in lexicon().heard:
            return end
    return None


def _keep(rest: str, notes: Notes) -> None:
    rest = _TRAILING.sub("", _LEADING.sub("", rest))
    if rest:
        notes.keep(rest)


@functools.cache
def _longest() -> int:
    """Characters of the lexicon's longest Chinese name."""
    return max(len(name) for name in lexicon().heard if HAN.match(name))
