"""Reads one English clause: known words become attributes, the rest stays as it was written."""

import re
from collections.abc import Sequence

from prompting.lexicon import lexicon, speech
from prompting.parser.clause import Clause
from prompting.parser.groups import (
    HAIR,
    known_name,
    phrase_of,
    read_group,
    topic_of,
)
from prompting.parser.reading import Notes
from prompting.parser.words import (
    ARTICLES,
    BOUNDARIES,
    IN_THE_BACKGROUND,
    NEGATIONS,
    Token,
    plain_text,
    tokens_of,
    written_text,
)
from prompting.parser.years import bare_years

_COPULAS = frozenset({"is", "are", "was", "should be", "looks"})
_SENTENCE_END = re.compile(r"[.!?\n]")


class EnglishReader:
    """Reads the clauses of one text in turn; a topic set by one may go on in the next.

    ("Her hair is long, dark and curly.")
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._topic: str | None = None
        self._noun = ""  # what the topic was called: "lips" of makeup
        self._is_named = False  # the topic was only named: what follows is surely about it

    def read(self, clause: str, end: str) -> None:
        """One clause, and the punctuation that ends it."""
        while (frame := speech().frames.match(clause.lower())) and frame.end():
            self._notes.remove(clause[: frame.end()].strip())
            clause = clause[frame.end() :].lstrip()
        tokens = tokens_of(clause, self._notes)
        for word in plain_text(tokens).split():
            if word in speech().pronouns:
                self._notes.ask_gender_of(word)
        if plain_text(tokens) in speech().alone or (
            ":" in end
            and len(tokens) == 1
            and not known_name(tokens)
            and not _topic_named(tokens[0].plain)
        ):
            self._notes.remove(written_text(tokens))
        elif plain_text(tokens) == IN_THE_BACKGROUND:
            self._topic, self._is_named = "background", True
        elif years := bare_years(plain_text(tokens)):
            self._notes.ask("age", years, written_text(tokens))
        elif not self._about_topic(tokens, end):
            self._topic = None
            Clause(tuple(tokens), self._notes).read()
        if _SENTENCE_END.search(end):
            self._topic = None

    def _about_topic(self, tokens: Sequence[Token], end: str) -> bool:
        """ "her hair is long and curly", "mood: calm", and what goes on in the same sentence."""
        at = 0
        while at < len(tokens) and tokens[at].plain in ARTICLES:
            at += 1
        if at >= len(tokens):
            return False
        named = _topic_named(tokens[at].plain)
        if named:
            self._noun = _noun_of(named, tokens[at].plain)
        copula = at + 1
        while copula < len(tokens) and tokens[copula].plain in {*_COPULAS, "should", "be"}:
            copula += 1
        if named and copula == len(tokens) == at + 1 and ":" in end:
            self._topic, self._is_named = named, True
            self._notes.remove(written_text(tokens), "only names what follows")
            return True
        if named and at + 1 < copula < len(tokens):
            said = {token.plain for token in tokens[copula:]}
            if said <= BOUNDARIES | ARTICLES:  # "glasses: is no"
                if said & NEGATIONS:
                    self._notes.refuse(tokens[at].written)
                return bool(said & NEGATIONS)
            self._topic = named
            self._say_of_topic(named, tokens[copula:], surely=True)
            if not {named, *(HAIR if named in HAIR else ())} & set(self._notes.values):
                self._notes.remove(tokens[at].written, "only names what is said of it")
            return True
        surely, self._is_named = self._is_named, False
        return bool(self._topic) and self._say_of_topic(self._topic or "", tokens, surely)

    def _say_of_topic(self, name: str, tokens: Sequence[Token], surely: bool) -> bool:
        """What is said of a topic, piece by piece; not surely: only if all of it is about it."""
        pieces = _pieces(tokens)
        topic = lexicon()[name]
        if not surely and not all(
            topic.find(plain_text(p)) or (name in HAIR and _hair_name(plain_text(p)))
            for p in pieces
        ):
            return False
        for piece in pieces:
            entry = topic.find(plain_text(piece))
            noun = self._noun
            known = known_name(piece)
            if known and known[0] in {name, *(HAIR if name in HAIR else ())}:
                self._notes.ask(*known, written_text(piece))
            elif entry is not None and name not in HAIR:
                self._notes.ask(name, entry.value, written_text(piece))
            elif name == "background" and BOUNDARIES.isdisjoint(t.plain for t in piece):
                self._notes.ask(name, phrase_of(piece), written_text(piece))
            elif noun and len(piece) <= 3 and BOUNDARIES.isdisjoint(t.plain for t in piece):
                whole = (*piece, Token(noun, noun))
                if not read_group(whole, self._notes):
                    self._notes.keep(phrase_of(whole))
            elif name == "light" and len(piece) <= 3 and not known:
                self._notes.keep(f"{written_text(piece)} light")
            else:
                Clause(tuple(piece), self._notes).read()
        return True


def _topic_named(word: str) -> str | None:
    """The attribute that a sentence is about: "hair", "mood"."""
    if word in lexicon().called or word in lexicon().topics:
        return lexicon().called.get(word, word)
    topic = topic_of(word)
    return None if topic is None else topic.name


def _noun_of(name: str, word: str) -> str:
    """The noun that values of a topic stand before, after it was called by a word."""
    topic = lexicon()[name]
    return word if word in topic.nouns else topic.templates[0].removeprefix("{}").strip()


def _pieces(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """What stands between "and"."""
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token.plain == "and":
            pieces.append([])
        elif token.plain not in ARTICLES or pieces[-1]:
            pieces[-1].append(token)
    return [piece for piece in pieces if piece]


def _hair_name(words: str) -> bool:
    return any(lexicon()[name].find(words) for name in HAIR)
