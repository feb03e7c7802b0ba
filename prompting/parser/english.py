"""Reads one English clause: known words become attributes, the rest stays as it was written."""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prompting.lexicon import Topic, fold, lexicon
from prompting.parser.reading import Notes, years_of
from prompting.schema import MAX_WORD_CHARACTERS

ARTICLES: Final = frozenset({"a", "an", "the", "his", "her", "their", "some", "any"})
# Words that hold a sentence together: alone they ask for nothing.
CONNECTIVES: Final = frozenset({
    "and", "but", "who", "that", "which", "while", "also", "is", "are", "was", "has", "have",
    "having", "with", "wearing", "wears", "looks", "appears", "about", "around",
})  # fmt: skip
PREPOSITIONS: Final = frozenset({"in", "on", "at", "against", "near", "under", "behind"})
NEGATIONS: Final = frozenset({
    "without", "no", "not", "never", "isn't", "aren't", "doesn't", "don't", "didn't", "hasn't",
})  # fmt: skip
# A group with one of these inside speaks of two things ("a car next to a man").
_RELATIONS: Final = ARTICLES | {"of", "to", "from", "by", "for", "or"}
_AFTER_NEGATION: Final = ARTICLES | {"wear", "wearing", "with", "have", "having", "be"}
_BOUNDARIES: Final = CONNECTIVES | PREPOSITIONS | NEGATIONS
_FRAME: Final = frozenset({"portrait", "picture", "image"})  # "a portrait of": said anyway
_AGE: Final = re.compile(
    r"\b(?:aged?:? )?(\d{1,3})(?: ?(?:-|–|to) ?(\d{1,3}))?[- ]years?(?:[- ]old| of age)\b"
    r"|\baged?:? (\d{1,3})(?:-(\d{1,3}))?$"
)


def read_english(words: list[str], notes: Notes) -> None:
    """Notes down what one clause, split at spaces, asks for."""
    _Clause(tuple(words), tuple(fold(word) for word in words), notes).read()


@dataclass
class _Clause:
    words: tuple[str, ...]  # as written
    plain: tuple[str, ...]  # folded, for comparison
    notes: Notes
    unknown_from: int | None = None  # where the words began that nothing has recognised yet

    def read(self) -> None:
        at = self._frame()
        while at < len(self.plain):
            at = self._step(at)
        self._keep_unknown(len(self.plain))

    def _step(self, at: int) -> int:
        """Reads what begins at a position; the position after it."""
        if self.plain[at] in NEGATIONS:
            self._keep_unknown(at)
            return self._negation(at + 1)
        if (known := self._known(at)) is not None:
            self._keep_unknown(at)
            self._ask(range(at, known))
            return known
        if self.plain[at] in ARTICLES | CONNECTIVES | PREPOSITIONS:
            if self.unknown_from is None:
                self.unknown_from = at
            return at + 1
        end = self._boundary(at + 1)
        if self._chunk(at, end):
            return end
        if self.unknown_from is None:
            self.unknown_from = at
        return end

    def _frame(self) -> int:
        """Steps over "a portrait of"."""
        start = 1 if self.plain[:1] and self.plain[0] in ARTICLES else 0
        framed = self.plain[start : start + 2]
        return start + 2 if len(framed) == 2 and framed[0] in _FRAME and framed[1] == "of" else 0

    def _boundary(self, at: int) -> int:
        while at < len(self.plain) and self.plain[at] not in _BOUNDARIES:
            at += 1
        return at

    def _known(self, at: int) -> int | None:
        """The end of the longest name that begins here and is followed by nothing of its own."""
        for end in range(min(len(self.plain), at + _longest()), at, -1):
            whole = end == len(self.plain) or self.plain[end] in _BOUNDARIES
            if whole and " ".join(self.plain[at:end]) in lexicon().heard:
                return end
        return None

    def _ask(self, positions: Sequence[int]) -> None:
        attribute, value = lexicon().heard[self._plain_text(positions)]
        self.notes.ask(attribute, value, " ".join(self.words[i] for i in positions))

    def _plain_text(self, positions: Iterable[int]) -> str:
        return " ".join(self.plain[i] for i in positions)

    def _chunk(self, at: int, end: int) -> bool:
        """A group of words up to the next boundary, if its last word says what it is about."""
        text = " ".join(self.plain[at:end])
        if aged := _AGE.search(text):
            before, after = text[: aged.start()].split(), text[aged.end() :].split()
            years = years_of(aged)
            rest = range(at + len(before), end - len(after))
            if years is None or not self._about_person(at, end, skipped=rest):
                return False
            self.notes.ask("age", years, " ".join(self.words[rest.start : rest.stop]))
            return True
        return self._about_person(at, end) or self._about_thing(at, end)

    def _about_person(self, at: int, end: int, skipped: range = range(0)) -> bool:
        """ "handsome Asian man": known words before a gender are attributes, others a phrase."""
        positions = [position for position in range(at, end) if position not in skipped]
        if not positions:
            self._keep_unknown(at)
            return True
        attribute, _ = lexicon().heard.get(self.plain[positions[-1]], ("", ""))
        if attribute != "gender" or not self._one_thing(positions):
            return False
        self._keep_unknown(at)
        strange: list[str] = []
        while positions:
            lengths = range(min(len(positions), _longest()), 0, -1)
            names = (n for n in lengths if self._plain_text(positions[:n]) in lexicon().heard)
            length = next(names, 0)
            if length:
                self._ask(positions[:length])
            else:
                strange.append(self.words[positions[0]])
            del positions[: max(length, 1)]
        if strange:
            self.notes.keep(" ".join(strange))
        return True

    def _about_thing(self, at: int, end: int) -> bool:
        """ "long silver hair": a group whose last word is a topic's noun is that topic's value."""
        text = " ".join(self.words[at:end])
        topic = _topic_of(self.plain[end - 1])
        if topic is None or len(text) > MAX_WORD_CHARACTERS or not self._one_thing(range(at, end)):
            return False
        if topic.template.format("").strip() == fold(text):  # "in the background" is no value
            return False
        self._keep_unknown(at)
        self.notes.ask(topic.name, text, text)
        return True

    def _one_thing(self, positions: Iterable[int]) -> bool:
        return _RELATIONS.isdisjoint(self.plain[position] for position in positions)

    def _negation(self, at: int) -> int:
        """What follows "without": one thing, and further ones after "or" and "nor"."""
        while True:
            while at < len(self.plain) and self.plain[at] in _AFTER_NEGATION:
                at += 1
            end = self._end_of_negated(at)
            if end > at:
                self.notes.refuse(" ".join(self.words[at:end]))
            if end < len(self.plain) and (self.plain[end] in {"or", "nor"} or self._goes_on(end)):
                at = end + 1
                continue
            return end

    def _end_of_negated(self, at: int) -> int:
        """ "people in the background" is one thing; "glasses" and "a dog in the park" are not."""
        end = at
        while end < len(self.plain) and self.plain[end] not in _BOUNDARIES | {"or", "nor"}:
            end += 1
        strange = _topic_of(self.plain[end - 1]) is None and self._known(at) is None
        if strange and at < end < len(self.plain) and self.plain[end] in PREPOSITIONS:
            return end if self._known(end) else self._end_of_negated(end + 1)
        return end

    def _goes_on(self, at: int) -> bool:
        """Whether "and" carries a negation on: "without glasses and a hat", not "… and smiling"."""
        following = [word for word in self.plain[at + 1 : at + 3] if word not in ARTICLES]
        topic = _topic_of(following[0]) if following else None
        return self.plain[at] == "and" and topic is not None

    def _keep_unknown(self, until: int) -> None:
        """Words that nothing recognised become a phrase, without what only held the sentence."""
        start, self.unknown_from = self.unknown_from, None
        if start is None:
            return
        held = ARTICLES | CONNECTIVES
        while until > start and self.plain[until - 1] in held | PREPOSITIONS:
            until -= 1
        kept_as_written = {"with", "wearing"}  # "with a cat" says more than "cat"
        while start < until and self.plain[start] in held - kept_as_written:
            start += 1
        if start < until:
            self.notes.keep(" ".join(self.words[start:until]))


def _topic_of(noun: str) -> Topic | None:
    return next((topic for topic in lexicon().topics.values() if noun in topic.nouns), None)


@functools.cache
def _longest() -> int:
    """Words of the lexicon's longest English name."""
    return max(len(name.split()) for name in lexicon().heard)
