"""Reads one Chinese clause: the longest known names are attributes, what lies between is kept."""

import functools
import re
from collections.abc import Mapping
from typing import Final

from prompting.lexicon import fold, lexicon, speech
from prompting.parser.english import EnglishReader
from prompting.parser.groups import phrase_of, read_group
from prompting.parser.reading import Notes
from prompting.parser.words import tokens_of
from prompting.parser.years import CHINESE_YEARS, chinese_years_in

HAN: Final = re.compile(r"[\u3400-\u9fff]")
KANA: Final = re.compile(r"[\u3040-\u30ff]")  # Japanese shares letters, and no words
_NEGATION: Final = re.compile(r"(?:没有|不要|没|不|无)(?:佩戴|戴着|戴|带着|带|留着|留|穿着|穿|有)?")
_OPEN_NEGATION: Final = re.compile(r"(?:没有|不要)(?:佩戴|戴着|戴|带着|带|留着|留|穿着|穿)?")
# Between modifier and noun: 左脸上有一道伤疤; but 上衣 is a noun.
_GAP: Final = re.compile(r"(?:上(?=[的有]))?(?:的|有)?(?:一[道颗个条])?")
_BEHIND: Final = re.compile(
    r"^(?:背景|身后|背后)(?:里|中|上)?(?:是|为|有|用的是|用)?(?:一[个片面])?"
)
_THERE: Final = re.compile(
    r"^(?:(?P<doing>站|坐)?(?:在|于))?(?P<place>.+?)(?:里面|里|中|上|前面|前|旁边|旁|下)?$"
)
_HOLDING: Final = re.compile(
    r"(?:(?:双?手[里中]?)?(?:拿着|抱着|端着|捧着|握着)|手[持拿])(?:一[个只把本杯束张支])?"
)
_MOST_MODIFIERS: Final = 8  # before one noun
_PLURAL: Final = "们"


def read_chinese(clause: str, notes: Notes) -> None:
    """Notes down what one clause asks for."""
    clause = _without_filler(clause, notes)
    if (behind := _BEHIND.match(clause)) and _ask_place(clause[behind.end() :], notes):
        return
    at = unknown_from = 0
    while at < len(clause):
        end = _read_at(clause, at, unknown_from, notes)
        if end is None:
            at += 1
        else:
            at = unknown_from = end
    _keep(clause[unknown_from:], notes)


def _without_filler(clause: str, notes: Notes) -> str:
    """A clause without polite openings and praise, which are noted as removed."""
    while (frame := speech().chinese_frames.search(clause)) and frame[0]:
        notes.remove(frame[0])
        clause = clause[: frame.start()] + clause[frame.end() :]
    for filler in speech().chinese_fillers:
        if filler in clause and not _inside_name(clause, filler):
            notes.remove(filler)
            clause = clause.replace(filler, "")
    return clause


def _inside_name(clause: str, filler: str) -> bool:
    """Whether a filler is part of a known name: 细节 is filler, 细框眼镜 is not."""
    return any(filler in name and name in clause for name in _names())


def _read_at(clause: str, at: int, unknown_from: int, notes: Notes) -> int | None:
    """Reads what begins at a position, after keeping the unknown before it; its end, or None."""
    before = clause[unknown_from:at]
    if (aged := CHINESE_YEARS.match(clause, at)) and (years := chinese_years_in(aged)) is not None:
        _keep(before, notes)
        notes.ask("age", years, aged[0])
        return aged.end()
    if (negation := _NEGATION.match(clause, at)) and (end := _known(clause, negation.end())):
        _keep(before, notes)
        _refuse(clause[negation.end() : end], notes)
        return end
    if (negation := _OPEN_NEGATION.match(clause, at)) and negation.end() < len(clause):
        _keep(before, notes)
        _refuse(clause[negation.end() :], notes)
        return len(clause)
    if (holding := _HOLDING.match(clause, at)) and holding.end() < len(clause):
        _keep(before, notes)
        notes.keep(f"holding {_in_english(clause[holding.end() :])}")
        return len(clause)
    end, known = _known(clause, at), _composed(clause, at)
    if known is not None and (end is None or known[0] > end):
        _keep(before, notes)
        _ask_composed(known[1], known[2], clause[at : known[0]], notes)
        return known[0]
    if end is not None:
        _keep(before, notes)
        _ask(clause[at:end], notes)
        return end
    return None


def _ask(words: str, notes: Notes) -> None:
    if words in speech().chinese_words:
        EnglishReader(notes).read(speech().chinese_words[words], "")
        return
    attribute, value = lexicon().heard[fold(words)]
    if words in {"她", "他"}:
        notes.ask_gender_of(words)
    else:
        notes.ask(attribute, value, words)


def _in_english(words: str) -> str:
    """An object in English, if all of it is known; without articles."""
    known = _composed(words, 0)
    if known is not None and known[0] == len(words):
        return known[2]
    if words in speech().chinese_words:
        return speech().chinese_words[words]
    return words if HAN.search(words) else phrase_of(tokens_of(words, Notes()))


def _ask_place(words: str, notes: Notes) -> bool:
    """What is behind a person, if all of it is known."""
    said: list[str] = []
    while words:
        place = _longest_of(speech().modifiers, words, 0)
        if not place:
            return False
        said.append(speech().modifiers[place])
        words = words.removeprefix(place).removeprefix("的")
    if said:
        read_group(tokens_of(f"{' '.join(said)} background", notes), notes)
    return bool(said)


def _refuse(words: str, notes: Notes) -> None:
    if known := lexicon().heard.get(fold(words)):
        attribute, value = known
        notes.refuse(lexicon()[attribute].phrasings(value)[0])
    else:
        notes.refuse(_in_english(words))


def _known(clause: str, at: int) -> int | None:
    """The end of the longest known Chinese name that begins here."""
    for end in range(min(len(clause), at + _longest()), at, -1):
        name = clause[at:end]
        if name.strip() == name and fold(name) in _names() and _stands_alone(clause, at, end):
            return end
    return None


def _stands_alone(clause: str, at: int, end: int) -> bool:
    """A single letter means something only before a known name or alone: 女 of 女医生."""
    if clause[end : end + 1] == _PLURAL:
        return False
    if end - at > 1 or clause[at:end] in {"她", "他"}:
        return True
    rest = clause[end:].removeprefix("的")
    if not rest:
        return at == 0 or clause[at - 1] in " 的"
    return bool(CHINESE_YEARS.match(rest)) or any(
        rest.startswith(name) for name in _names() if len(name) > 1
    )


def _composed(clause: str, at: int) -> tuple[int, str, str] | None:
    """Modifiers and a noun, 红色的连衣裙: the end, the attribute, and what it is in English."""
    found: list[str] = []
    here = at
    while len(found) <= _MOST_MODIFIERS:
        noun = _longest_of(_parts(), clause, here)
        modifier = _longest_of(speech().modifiers, clause, here)
        if len(noun) == 1 and not found:
            noun = ""  # 光 begins many words
        other = _longest_of(speech().chinese_words, clause, here) if found else ""
        is_whole = len(other) > 1 or not HAN.match(clause, here + len(other))
        if len(other) > len(noun) and is_whole:
            return here + len(other), "", " ".join((*found, speech().chinese_words[other]))
        goes_on = noun == modifier and _longest_of(_parts(), clause, here + len(noun))
        if noun and len(noun) >= len(modifier) and not goes_on:
            attribute, said = _parts()[noun]
            return here + len(noun), attribute, " ".join((*found, said))
        if not modifier:
            return None
        found.append(speech().modifiers[modifier])
        here += len(modifier)
        if gap := _GAP.match(clause, here):
            here = gap.end()
    return None


def _ask_composed(attribute: str, words: str, written: str, notes: Notes) -> None:
    """Asks for what was put together in English, as if it had been written so."""
    if read_group(tokens_of(words, notes), notes):
        return
    if attribute:
        notes.ask(attribute, words, written)
    else:
        notes.keep(words)


def _longest_of(words: Mapping[str, object], clause: str, at: int) -> str:
    return max((word for word in words if clause.startswith(word, at)), key=len, default="")


def _keep(rest: str, notes: Notes) -> None:
    """What nothing recognised, without what only holds a sentence together."""
    rest = rest.strip()
    trimmed = True
    while trimmed and rest:
        trimmed = False
        for bond in speech().chinese_bonds:
            if rest.startswith(bond) or rest.endswith(bond):
                rest = rest.removeprefix(bond).removesuffix(bond).strip()
                trimmed = True
                break
    if not rest:
        return
    there = _THERE.match(rest)
    if there and there["place"] in speech().places and _ask_place(there["place"], notes):
        if there["doing"]:
            notes.keep({"站": "standing", "坐": "sitting"}[there["doing"]])
    elif HAN.search(rest):
        notes.keep(rest)
    else:
        EnglishReader(notes).read(rest, "")


@functools.cache
def _names() -> frozenset[str]:
    """All that is known in Chinese."""
    heard = (name for name in lexicon().heard if HAN.search(name))
    return frozenset((*heard, *speech().chinese_words))


@functools.cache
def _parts() -> dict[str, tuple[str, str]]:
    """Chinese nouns → the attribute that they are about, and what they are in English."""
    return {
        noun: (topic.name, said)
        for topic in lexicon().topics.values()
        for noun, said in topic.parts.items()
    }


@functools.cache
def _longest() -> int:
    """Characters of the longest Chinese name."""
    return max(map(len, _names()))
