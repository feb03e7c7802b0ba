"""Walks through one English clause: groups of words, negations, and what is left between."""

from collections.abc import Sequence
from dataclasses import dataclass

from prompting.lexicon import lexicon
from prompting.parser.groups import (
    is_person,
    is_picture,
    known_name,
    phrase_of,
    read_group,
    topic_of,
)
from prompting.parser.reading import Notes
from prompting.parser.words import (
    ARTICLES,
    BEHIND,
    BOUNDARIES,
    CONNECTIVES,
    IN_THE_BACKGROUND,
    NEGATIONS,
    PREPOSITIONS,
    RELATIONS,
    Token,
    plain_text,
    written_text,
)
from prompting.parser.years import bare_years
from prompting.schema import ACCESSORIES

_AFTER_NEGATION = ARTICLES | {
    "wear", "wearing", "with", "have", "having", "be", "put", "show", "include", "draw", "add",
    "use", "want", "any", "to", "do", "please", "need", "get",
}  # fmt: skip
_ON = frozenset({"on", "over", "under", "across", "around", "above", "below", "near"})
_NOT = frozenset({"not", "never", "isn't", "aren't", "wasn't", "weren't", "hardly", "barely"})
_PRONOUNS = frozenset({"she", "he"})
_STANDING = frozenset({"", "standing", "posing", "stands", "sitting", "sits", "is standing"})


@dataclass
class Clause:
    """One clause while it is read from left to right."""

    tokens: tuple[Token, ...]
    notes: Notes
    unknown_from: int | None = None  # where the words began that nothing has recognised yet
    is_worn: bool = False  # after "wearing", what nothing recognises is clothing

    def read(self) -> None:
        at = self._picture_of()
        while at < len(self.tokens):
            at = self._step(at)
        self._keep_unknown(len(self.tokens))

    def _plain(self, at: int) -> str:
        return self.tokens[at].plain if 0 <= at < len(self.tokens) else ""

    def _step(self, at: int) -> int:
        """Reads what begins at a position; the position after it."""
        plain = self._plain(at)
        if plain in NEGATIONS:
            self._keep_unknown(at)
            return self._negation(at + 1, plain)
        if plain in _PRONOUNS:
            self._keep_unknown(at)
            return at + 1
        if plain in BEHIND:
            return self._behind_person(at)
        if plain == IN_THE_BACKGROUND:
            self._behind(at)
            return at + 1
        if plain in {"in front of", "against"} and self._stands_before(at):
            return self._before(at + 1)
        if plain in {"wearing", "wears", "dressed"}:
            self.is_worn = True
        elif plain in PREPOSITIONS and self._plain(at - 1) != "dressed":
            self.is_worn = False
        if plain in ARTICLES | CONNECTIVES | PREPOSITIONS:
            if self.unknown_from is None:
                self.unknown_from = at
            return at + 1
        end = self._boundary(at + 1)
        if self._is_paired(at, end):
            end = self._boundary(end + 2)
        return self._group(at, end)

    def _group(self, at: int, end: int) -> int:
        """A group of words up to the next boundary."""
        group = self.tokens[at:end]
        years = bare_years(plain_text(group))
        if years and end == len(self.tokens) and self._told_of_person(at):
            self.unknown_from = None
            self.notes.ask("age", years, written_text(group))
            return end
        thing, further = topic_of(group[-1].plain), self._place_of(group, end)
        if thing and further > end:
            self._keep_unknown(at)
            group = self.tokens[at:further]
            self.notes.ask(thing.name, phrase_of(group), phrase_of(group))
            return further
        is_dress = self.is_worn and len(group) <= 6 and not is_person(group)
        if not self._belongs_to_unknown(at):
            if read_group(group, Notes()):  # what stood before comes first, but only then
                self._keep_unknown(at)
                read_group(group, self.notes)
                return end
            if is_dress:
                self._keep_unknown(at)
                self.notes.ask("clothing", phrase_of(group), phrase_of(group))
                return end
        if self.unknown_from is None:
            self.unknown_from = at
        return end

    def _place_of(self, group: Sequence[Token], end: int) -> int:
        """Where a thing's place on the body ends: "scar | over her left eye"; else the same end."""
        topic = topic_of(group[-1].plain)
        if topic is None or topic.name not in {"marks", *ACCESSORIES}:
            return end
        if self._plain(end) not in _ON or RELATIONS & {token.plain for token in group}:
            return end
        further = self._boundary(end + 1)
        place = self.tokens[end + 1 : further]
        is_place = 0 < len(place) <= 4 and topic_of(place[-1].plain) is None
        return further if is_place and not known_name(place) else end

    def _is_paired(self, at: int, end: int) -> bool:
        """Whether two colours share a noun: "black and | gold armor"."""
        colours = {*lexicon()["clothing"].entries, "gold", "silver"}
        following = self.tokens[end + 1 : self._boundary(end + 1)]
        return (
            self._plain(end) == "and"
            and self._plain(end - 1) in colours
            and len(following) > 1
            and following[0].plain in colours
            and topic_of(following[-1].plain) is not None
        )

    def _belongs_to_unknown(self, at: int) -> bool:
        """Whether a group goes on with unknown words: "holding cup in | red hand"."""
        last = {self._plain(at - 1), self._plain(at - 2)}
        if self.unknown_from is None or self._plain(at - 1) not in PREPOSITIONS | ARTICLES:
            return False
        if last & {"and", "with", "who", "wearing"}:
            return False
        held = ARTICLES | CONNECTIVES | PREPOSITIONS
        return any(token.plain not in held for token in self.tokens[self.unknown_from : at])

    def _picture_of(self) -> int:
        """Reads "a close-up portrait of"; the position after it."""
        at = 0
        while self._plain(at) in ARTICLES:
            at += 1
        of = next((i for i, token in enumerate(self.tokens) if token.plain == "of"), 0)
        if of <= at:
            return 0
        group = self.tokens[at:of]
        known = known_name(group)
        if not is_picture(self.tokens[of - 1]) and not (
            known and known[0] in {"style", "framing", "view"}
        ):
            return 0
        return of + 1 if read_group(group, self.notes) else 0

    def _behind(self, at: int) -> None:
        """ "a tower in the background": what stands before is the background."""
        start = at if self.unknown_from is None else self.unknown_from
        cuts = [i for i in range(start, at) if self._plain(i) in {"with", "and", "there", "is"}]
        first = cuts[-1] + 1 if cuts else start
        self._keep_unknown(first)
        self.unknown_from = None
        words = phrase_of(self.tokens[first:at]) if first < at else ""
        if not words:
            return
        entry = lexicon()["background"].find(words)
        self.notes.ask("background", words if entry is None else entry.value, words)

    def _told_of_person(self, at: int) -> bool:
        """Whether only "she is" stands before."""
        before = {token.plain for token in self.tokens[:at]}
        return not _PRONOUNS.isdisjoint(before) and before <= _PRONOUNS | CONNECTIVES | {"around"}

    def _behind_person(self, at: int) -> int:
        """ "behind her there is a bookshelf", "a bookshelf behind her"."""
        after = at + 1
        while self._plain(after) in CONNECTIVES | ARTICLES:
            after += 1
        if after < len(self.tokens) and self._stands_before(at):
            return self._before(after)
        self._behind(at)
        return at + 1

    def _stands_before(self, at: int) -> bool:
        """Whether "in front of" tells where the person is, not something else."""
        if self.unknown_from is None:
            return True
        words = self.tokens[self.unknown_from : at]
        held = ARTICLES | CONNECTIVES
        return plain_text(t for t in words if t.plain not in held) in _STANDING

    def _before(self, at: int) -> int:
        """ "in front of a brick wall": what follows is the background."""
        self._keep_unknown(at - 1)
        end = self._boundary(at)
        words = phrase_of(self.tokens[at:end])
        topic = lexicon()["background"]
        if (known := known_name(self.tokens[at:end])) and known[0] != "background":
            self.notes.keep(f"in front of {words}")
        elif words:
            entry = topic.find(words.removeprefix("a ").removesuffix(" background"))
            value = words.removesuffix(" background") if entry is None else entry.value
            self.notes.ask("background", value, words)
        return end

    def _boundary(self, at: int, boundaries: frozenset[str] = BOUNDARIES) -> int:
        ends = {*boundaries, IN_THE_BACKGROUND, *BEHIND, *_PRONOUNS}
        while at < len(self.tokens) and self._plain(at) not in ends:
            if self._is_place(at):
                return at
            at += 1
        return at

    def _is_place(self, at: int) -> bool:
        """Whether a known place stands here: "at the beach"."""
        first, _, more = self._plain(at).partition(" ")
        return bool(more) and first in PREPOSITIONS and not self.tokens[at].asks

    def _negation(self, at: int, negator: str) -> int:
        """What follows "without": one thing, and further ones after "or" and "nor"."""
        first = at
        while True:
            while at < len(self.tokens) and self._plain(at) in _AFTER_NEGATION:
                at += 1
            end = self._end_of_negated(at)
            if end > at:
                self._refuse(self.tokens[at:end], negator)
            elif end == first:
                self.notes.remove(negator, "refuses nothing that is named")
            if self._plain(end) in {"or", "nor"} or (end > at and self._goes_on(end)):
                at = end + 1
                continue
            return end

    def _refuse(self, group: Sequence[Token], negator: str) -> None:
        """ "not | a smiling man" is a man; "no smiling man" is none."""
        length = is_person(group)
        if negator in _NOT and 0 < length < len(group):
            self.notes.refuse(written_text(group[:-length]))
            read_group(group[-length:], self.notes)
        else:
            self.notes.refuse(written_text(group))

    def _end_of_negated(self, at: int) -> int:
        """ "people in the background" is one thing; "glasses" and "a dog in the park" are not."""
        end = at
        ends = BOUNDARIES | {"or", "nor"}
        while end < len(self.tokens) and self._plain(end) not in ends and not self._is_place(end):
            end += 1
        if at == end or known_name(self.tokens[at:end]):
            return end
        if self._plain(end) == IN_THE_BACKGROUND:
            return end + 1
        strange = topic_of(self._plain(end - 1)) is None
        if strange and self._plain(end) in PREPOSITIONS:
            further = self._boundary(end + 1)
            return end if known_name(self.tokens[end + 1 : further]) else further
        return end

    def _goes_on(self, at: int) -> bool:
        """Whether "and" carries a negation on: "without glasses and a hat", not "… and smiling"."""
        following = [t.plain for t in self.tokens[at + 1 : at + 3] if t.plain not in ARTICLES]
        return self._plain(at) == "and" and bool(following) and topic_of(following[0]) is not None

    def _keep_unknown(self, until: int) -> None:
        """Words that nothing recognised become a phrase, without what only held the sentence."""
        start, self.unknown_from = self.unknown_from, None
        if start is None:
            return
        held = ARTICLES | CONNECTIVES
        while until > start and self._plain(until - 1) in held | PREPOSITIONS:
            until -= 1
        while start < until and self._plain(start) in held | {"in", "at", "on"}:
            start += 1
        if start < until:
            self.notes.keep(phrase_of(self.tokens[start:until]))
