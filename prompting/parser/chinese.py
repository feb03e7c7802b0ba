"""Reads one Chinese clause: the longest known names are attributes, what lies between is kept."""

import functools
import re
from collections.abc import Iterable
from typing import Final, Literal

from prompting.lexicon import fold, lexicon, speech
from prompting.parser.english import EnglishReader
from prompting.parser.groups import phrase_of, read_group
from prompting.parser.reading import Notes
from prompting.parser.refusals import THINGS
from prompting.parser.words import tokens_of
from prompting.parser.years import CHINESE_YEARS, chinese_years_in

HAN: Final = re.compile(r"[\u3400-\u9fff]")
KANA: Final = re.compile(r"[\u3040-\u30ff]")  # Japanese shares letters, and no words
_WEAR: Final = (
    "(?:(?:佩戴|戴着|戴|带着|带|留着|留|穿着|穿|有|涂|让她|让他)(?:任何|那[个副顶]|一[个副顶])?)?"
)
_NEGATION: Final = re.compile(f"(?:没有|不要|没|不|无){_WEAR}")
_OPEN_NEGATION: Final = re.compile(f"(?:没有|不要){_WEAR}")
_TURN: Final = re.compile("但|而是|却|[,、]")
_NOT: Final = re.compile("不(?![对同锈规])|没|(?<![特性区分个级类])别(?![致针墅人])|勿")
_AND: Final = re.compile("、|以及|或者|或是|[和或与及]")
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
_Dictionary = Literal["modifiers", "parts", "words", "names"]


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
    return any(name in clause for name in _names_around(filler))


def _read_at(clause: str, at: int, unknown_from: int, notes: Notes) -> int | None:
    """Reads what begins at a position, after keeping the unknown before it; its end, or None."""
    before = clause[unknown_from:at]
    if (aged := CHINESE_YEARS.match(clause, at)) and (years := chinese_years_in(aged)) is not None:
        _keep(before, notes)
        notes.ask("age", years, aged[0])
        return aged.end()
    if (negation := _NEGATION.match(clause, at)) and (end := _refused_end(clause, negation.end())):
        _keep(before, notes)
        _refuse(clause[negation.end() : end], notes)
        return end
    if (negation := _OPEN_NEGATION.match(clause, at)) and negation.end() < len(clause):
        turn = _TURN.search(clause, negation.end())
        end = turn.start() if turn else len(clause)
        _keep(before, notes)
        _refuse(clause[negation.end() : end], notes)
        return end
    if _NOT.match(clause, at) and _known(clause, at) is None:
        # A refusal that was not understood never asks for its thing: all of it stays a phrase.
        turn = _TURN.search(clause, at)
        end = turn.start() if turn else len(clause)
        _keep(before, notes)
        notes.keep(clause[at:end])
        return end
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
        place = _longest_of("modifiers", words, 0)
        if not place:
            return False
        said.append(speech().modifiers[place])
        words = words.removeprefix(place).removeprefix("的")
    if said:
        read_group(tokens_of(f"{' '.join(said)} background", notes), notes)
    return bool(said)


def _refused_end(clause: str, at: int) -> int | None:
    """The end of the one known thing that a negation stands before."""
    if at >= len(clause):
        return None
    known, composed = _known(clause, at), _composed(clause, at)
    is_thing = composed is not None and composed[1] in {*THINGS, ""}
    end = max(known or 0, composed[0] if composed and is_thing else 0)
    if not end and fold(clause[at]) in _names() and clause[at + 1 : at + 2] in {"", "的"}:
        end = at + 1
    return end or None


def spread(text: str) -> str:
    """A text in which each thing of a refused list is refused by itself: 没有眼镜、胡子."""
    out, at = "", 0
    for negation in re.finditer(f"(?:没有|不要|没|不){_WEAR}", text):
        end = _refused_end(text[: negation.end() + 40], negation.end())
        if negation.start() < at or not end or not _is_worn(text[negation.end() : end]):
            continue
        out, at = out + text[at:end], end
        while following := _next_refused(text, at):
            first, at = following
            out += f",没有{text[first:at]}"
    return out + text[at:]


def _next_refused(text: str, at: int) -> tuple[int, int] | None:
    """Where the next thing of a refused list stands; after a comma, only if 和 or 或 follows."""
    joint = _AND.match(text, at)
    if joint is None and text[at : at + 1] in {",", "，"}:
        here, is_ended = at, False
        while here < len(text) and text[here] in ",，、":
            end = _refused_end(text[: here + 40], here + 1)
            if not end or not _is_worn(text[here + 1 : end]):
                return None
            here = end
            if _AND.match(text, here) and text[here] != "、":
                is_ended = True
                break
        if not is_ended:
            return None
        start = at + 1
    elif joint is None:
        return None
    else:
        start = joint.end()
    end = _refused_end(text[: start + 40], start)
    if end and _is_worn(text[start:end]):
        return start, end
    return None


def _is_worn(words: str) -> bool:
    """Whether words name something that can be left away by its bare name."""
    known = lexicon().heard.get(fold(words))
    if known:
        return known[0] in THINGS and not words.startswith(("戴", "化了"))
    composed = _composed(words, 0)
    if composed is not None and composed[0] == len(words):
        return composed[1] in {*THINGS, ""}
    return words in speech().chinese_words


def _refuse(words: str, notes: Notes) -> None:
    if known := lexicon().heard.get(fold(words)):
        attribute, value = known
        said = lexicon()[attribute].phrasings(value)
        notes.refuse(next((one for one in said if not re.search(r"\d", one)), said[0]))
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
    rest = clause[end : end + 40].removeprefix("的")
    if not rest:
        return at == 0 or clause[at - 1] in " 的"
    return bool(CHINESE_YEARS.match(rest) or _longest_of("names", rest, 0))


def _composed(clause: str, at: int) -> tuple[int, str, str] | None:
    """Modifiers and a noun, 红色的连衣裙: the end, the attribute, and what it is in English."""
    found: list[str] = []
    here = at
    while len(found) <= _MOST_MODIFIERS:
        noun = _longest_of("parts", clause, here)
        modifier = _longest_of("modifiers", clause, here)
        if len(noun) == 1 and not found:
            noun = ""  # 光 begins many words
        other = _longest_of("words", clause, here) if found else ""
        is_whole = len(other) > 1 or not HAN.match(clause, here + len(other))
        if len(other) > len(noun) and is_whole:
            return here + len(other), "", " ".join((*found, speech().chinese_words[other]))
        goes_on = noun == modifier and _longest_of("parts", clause, here + len(noun))
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


def _longest_of(words: _Dictionary, clause: str, at: int) -> str:
    found = _by_beginning(words).get(clause[at : at + 1], ())
    return next((word for word in found if clause.startswith(word, at)), "")


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
def _by_beginning(words: _Dictionary) -> dict[str, tuple[str, ...]]:
    """Words by their first character, the longest first."""
    chosen: Iterable[str] = {
        "modifiers": speech().modifiers,
        "parts": _parts(),
        "words": speech().chinese_words,
        "names": [name for name in _names() if len(name) > 1],
    }[words]
    found: dict[str, list[str]] = {}
    for word in sorted(chosen, key=len, reverse=True):
        found.setdefault(word[:1], []).append(word)
    return {first: tuple(some) for first, some in found.items()}


@functools.cache
def _names_around(filler: str) -> tuple[str, ...]:
    return tuple(name for name in _names() if filler in name)


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
