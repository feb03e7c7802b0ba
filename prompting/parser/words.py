"""English words as the parser reads them: fixed expressions joined, filler taken out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Final

from prompting.lexicon import fold, lexicon, speech
from prompting.parser.reading import Notes
from prompting.parser.years import DECADE, YEARS, decade_in, years_in
from prompting.schema import ACCESSORIES

ARTICLES: Final = frozenset(
    {"a", "an", "the", "his", "her", "their", "my", "our", "its", "some", "any"}
)
# What leads from hair to its style: "hair tied in a bun".
TIED: Final = frozenset({"tied in", "tied back in", "cut in", "styled in", "put up in", "worn in"})
# Words that hold a sentence together: alone they ask for nothing.
CONNECTIVES: Final = frozenset({
    "and", "but", "who", "that", "which", "while", "also", "is", "are", "was", "were", "be", "has",
    "have", "had", "having", "with", "wearing", "wears", "wear", "looks", "appears", "about",
    "does", "do", "did", "should", "would", "must", "will", "can", "there", "it",
    "i", "we", "you", "they", "as", "dressed", "where", "got", "being", *TIED,
})  # fmt: skip
PREPOSITIONS: Final = frozenset({
    "in", "on", "at", "against", "near", "under", "behind", "in front of", "over", "beside",
    "inside", "outside", "through", "between", "next to", "across", "after", "before", "along",
    "above", "below", "into", "onto", "around", "seen",
})  # fmt: skip
NEGATIONS: Final = frozenset({
    "without", "no", "not", "never", "isn't", "aren't", "doesn't", "don't", "didn't", "hasn't",
    "avoid", "exclude", "nor", "neither", "wasn't", "weren't", "won't", "can't", "cannot",
    "shouldn't",
    "mustn't", "haven't", "hadn't", "wouldn't", "dont", "isnt", "doesnt", "hardly", "barely",
})  # fmt: skip
# A group with one of these inside speaks of two things ("a car next to a man").
RELATIONS: Final = ARTICLES | {"of", "to", "from", "by", "for", "or", "like"}
BOUNDARIES: Final = CONNECTIVES | PREPOSITIONS | NEGATIONS
IN_THE_BACKGROUND: Final = "in the background"
BEHIND: Final = frozenset({"behind her", "behind him", "behind them"})
_JOINED: Final = (
    IN_THE_BACKGROUND,
    "in front of",
    "next to",
    "in the foreground",
    "tied in",
    "tied back in",
    "cut in",
    "styled in",
    "put up in",
    "worn in",
    *BEHIND,
)


_ABSENT: Final = re.compile(r"(?:-?less|-free)$")  # "hatless", "glasses-free"
_APERTURE: Final = re.compile(r"f/?\d{1,2}(?:\.\d)?")


@dataclass(frozen=True)
class Token:
    """A word, or several that mean one thing together.

    written: as in the text; plain: folded, for comparison; asks: the attribute and value that an
    expression means which no lexicon can list (an age).
    """

    written: str
    plain: str
    asks: tuple[str, str] | None = None


def tokens_of(clause: str, notes: Notes) -> list[Token]:
    """The words of a clause; filler is noted as removed."""
    for long, short in speech().reduced:
        clause = long.sub(short, clause)
    words = [Token(word, _plain(word)) for word in clause.split()]
    words = [token for word in words for token in _split(word) if not _is_absent(token, notes)]
    words = list(_joined_at(words, _measures(words)))
    words = list(_joined_at(words, _expressions(words)))
    kept = []
    at = 0
    while at < len(words):
        length = _filler_at(words, at)
        if length:
            notes.remove(" ".join(word.written for word in words[at : at + length]))
        else:
            kept.append(words[at])
        at += max(length, 1)
    return kept


def plain_text(tokens: Iterable[Token]) -> str:
    """Tokens as they are compared."""
    return " ".join(token.plain for token in tokens)


def written_text(tokens: Iterable[Token]) -> str:
    """Tokens as they were written."""
    return " ".join(token.written for token in tokens)


def _plain(word: str) -> str:
    return fold(word).strip("\"'“”*")


def _is_absent(word: Token, notes: Notes) -> bool:
    """Notes down what "hatless" and "glasses-free" refuse; whether a word is one of these."""
    thing = _ABSENT.sub("", word.plain)
    if thing == word.plain:
        return False
    for name in (thing, f"{thing}s"):
        attribute, _ = lexicon().heard.get(name, ("", ""))
        if attribute in ACCESSORIES or any(name in lexicon()[a].nouns for a in ACCESSORIES):
            notes.refuse(name)
            return True
    return False


def _split(word: Token) -> Iterator[Token]:
    """ "businesswoman" as "business woman", "she's" as "she is"."""
    if word.plain in speech().rewritten:
        yield from (Token(part, part) for part in speech().rewritten[word.plain].split())
        return
    pronoun, s, rest = word.plain.partition("'s")
    if s and not rest and pronoun in {"she", "he", "it", "who", "there", "that"}:
        yield from (Token(pronoun, pronoun), Token("is", "is"))
    elif word.plain:
        yield word


def _measures(words: Sequence[Token]) -> Iterator[tuple[range, tuple[str, str] | None]]:
    """Which words are an age, or an aperture."""
    for at, word in enumerate(words):
        if _APERTURE.fullmatch(word.plain):
            yield range(at, at + 1), ("lens", word.plain.replace("/", ""))
    text = plain_text(words)
    starts = [0, *accumulate(len(word.plain) + 1 for word in words)]
    for pattern, age_in in ((YEARS, years_in), (DECADE, decade_in)):
        for matched in pattern.finditer(text):
            years = age_in(matched)
            if years is not None and matched.start() in starts:
                end = next(i for i, start in enumerate(starts) if start > matched.end())
                yield range(starts.index(matched.start()), end), ("age", years)


def _expressions(words: Sequence[Token]) -> Iterator[tuple[range, tuple[str, str] | None]]:
    """Which words make up a name of the lexicon that would fall apart otherwise."""
    at = 0
    while at < len(words):
        lengths = range(min(len(words) - at, longest_name()), 1, -1)
        length = next((n for n in lengths if _is_expression(words, at, at + n)), 1)
        if length > 1:
            yield range(at, at + length), None
        at += length


def _is_expression(words: Sequence[Token], at: int, end: int) -> bool:
    """A place is one only where nothing of its own follows: "in a park", no "park ranger"."""
    if plain_text(words[at:end]) not in _fixed_expressions():
        return False
    is_place = words[at].plain in PREPOSITIONS and plain_text(words[at:end]) not in _JOINED
    return not is_place or end == len(words) or words[end].plain in BOUNDARIES


@cache
def _fixed_expressions() -> frozenset[str]:
    """Names of several words of which one would part them, or be taken for filler."""
    parting = BOUNDARIES | RELATIONS | speech().fillers
    names = (name for name in lexicon().heard if not parting.isdisjoint(name.split()))
    return frozenset((*_JOINED, *(name for name in names if " " in name)))


@cache
def longest_name() -> int:
    """Words of the lexicon's longest English name."""
    return max(len(name.split()) for name in lexicon().heard)


def _joined_at(
    words: Sequence[Token], spans: Iterable[tuple[range, tuple[str, str] | None]]
) -> Iterator[Token]:
    """The words, those of each span as one; spans that overlap an earlier one are passed over."""
    joined: dict[int, tuple[range, tuple[str, str] | None]] = {}
    taken: set[int] = set()
    for span, asks in spans:
        if taken.isdisjoint(span):
            joined[span.start] = (span, asks)
            taken.update(span)
    for index, word in enumerate(words):
        if index in joined:
            span, asks = joined[index]
            part = words[span.start : span.stop]
            yield Token(written_text(part), plain_text(part), asks)
        elif index not in taken:
            yield word


def _filler_at(words: Sequence[Token], at: int) -> int:
    """How many words from here on are filler."""
    for length in range(min(len(words) - at, speech().longest_filler), 0, -1):
        if plain_text(words[at : at + length]) in speech().fillers:
            return length
    return 0
