"""What one attribute takes: each check gives the value in normal form or says what is wrong."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from prompting.ages import OLDEST_YEARS, YOUNGEST_YEARS, AgeRange, age_of
from prompting.errors import shown, suggestion
from prompting.lexicon import WORN, fold, lexicon
from prompting.weights import without_brackets

MAX_WORD_CHARACTERS: Final = 60
MAX_PHRASE_CHARACTERS: Final = 400
MAX_PHRASES: Final = 32

YES: Final = frozenset({"true", "yes", "on", "1", "是", "有"})
NO: Final = frozenset({"false", "no", "off", "none", "without", "0", "否", "无", "没有"})

UNSURE: Final = frozenset({"maybe", "perhaps", "unknown", "null", "n/a", "也许", "可能", "不知道"})

Check = Callable[[object], object]


def clean(value: object, limit: int) -> str:
    """A string in normal form: NFKC, no control characters, single spaces, no brackets."""
    if not isinstance(value, str):
        raise ValueError(f"takes words, not {shown(repr(value))}")
    text = unicodedata.normalize("NFKC", value)
    text = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
    text = re.sub(r" +(?=,)", "", " ".join(without_brackets(text, " ").split())).strip(" ,;.")
    if not text:
        raise ValueError("is empty: give a word, or leave the attribute out")
    if len(text) > limit:
        raise ValueError(f"is {len(text)} characters long, the limit is {limit}: say it shorter")
    return text


def is_answer(word: str) -> bool:
    """Whether a word answers a question, and names nothing that could be drawn."""
    return fold(word) in YES | NO | UNSURE


def _refuse_answer(word: str) -> None:
    if is_answer(word):
        raise ValueError(
            f'takes words that say what is seen, not "{shown(word)}": '
            "to leave it open leave the attribute out"
        )


def closed(attribute: str) -> Check:
    """One of the lexicon's values, by any of its names."""

    def check(value: object) -> object:
        if value is None:
            return None
        topic = lexicon()[attribute]
        word = clean(value, MAX_PHRASE_CHARACTERS)
        entry = topic.find(word)
        if entry is None:
            known = suggestion(word, topic.entries)
            raise ValueError(f'"{shown(word)}" is none of its values{known}')
        return entry.value

    return check


def free(attribute: str) -> Check:
    """Free words; those the lexicon knows take its value."""

    def check(value: object) -> object:
        if value is None:
            return None
        word = clean(value, MAX_WORD_CHARACTERS)
        _refuse_answer(word)
        entry = lexicon()[attribute].find(word)
        return word if entry is None else entry.value

    return check


def accessory(attribute: str) -> Check:
    """Worn (true), not worn (false, "none"), or a word that says which one ("round")."""

    def check(value: object) -> object:
        if value is None or isinstance(value, bool):
            return value
        word = clean(value, MAX_WORD_CHARACTERS)
        if fold(word) in NO:
            return False
        if fold(word) in YES:
            return True
        if fold(word) in UNSURE:
            raise ValueError(
                f'takes true, "none", or a word that says which one, not "{shown(word)}"'
            )
        entry = lexicon()[attribute].find(word)
        if entry is None:
            return word
        return True if entry.value == WORN else entry.value

    return check


def age(value: object) -> object:
    """A number of years, a range "30-40", a decade "30s", or a name that a range has ("young")."""
    if value is None or isinstance(value, AgeRange):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        expected = f"a whole number from {YOUNGEST_YEARS} to {OLDEST_YEARS} or a range"
        raise ValueError(f"takes {expected}, not {shown(repr(value))}")
    named = lexicon()["age"].find(str(value))
    if named is not None:
        return age_of(named.value)
    from prompting.parser.years import bare_years  # the parser needs this module

    years = bare_years(fold(value)) if isinstance(value, str) and value.strip().isalpha() else None
    return age_of(value if years is None else years)


def phrases(value: object) -> tuple[str, ...]:
    """One phrase or several; each is kept once, in the order given."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ValueError(f"takes phrases, not {shown(repr(value))}")
    if len(given) > MAX_PHRASES:
        raise ValueError(f"takes at most {MAX_PHRASES} phrases, not {len(given)}")
    return tuple(dict.fromkeys(clean(phrase, MAX_PHRASE_CHARACTERS) for phrase in given))


def several(attribute: str) -> Check:
    """Phrases as above; those the lexicon knows take its value."""

    def check(value: object) -> object:
        topic = lexicon()[attribute]
        given = phrases(value)
        for word in given:
            _refuse_answer(word)
        entries = ((word, topic.find(word)) for word in given)
        return tuple(
            dict.fromkeys(word if entry is None else entry.value for word, entry in entries)
        )

    return check
