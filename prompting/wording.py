"""The words that say most with the fewest tokens."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prompting.composition import SEPARATOR, Saying, Segment, joined
from prompting.errors import PromptTooLong
from prompting.layout import SUBJECT, Layout, priority
from prompting.lexicon import fold, lexicon
from prompting.tokens import Tokenizer, count_tokens

_HYPHEN: Final = re.compile(r"(?<=[^\W\d])-(?=[^\W\d])")  # "high-end" means "high end"


@dataclass(frozen=True)
class Wording:
    """A segment, and the sayings that it says: several where they share a noun."""

    segment: Segment
    sayings: tuple[Saying, ...]


def worded(
    sayings: Sequence[Saying],
    asked: Mapping[str, str],
    layout: Layout,
    tokenizer: Tokenizer | None,
) -> tuple[Wording, ...]:
    """Each saying in its shortest phrasing, in the layout's order, once.

    asked: attribute → the words it was asked for in; of two equally short phrasings the one made
    of these is taken, else the first.
    """
    first: dict[str, Wording] = {}
    for saying in sayings:
        text = _shortest(saying, asked.get(saying.attribute, ""), tokenizer)
        wording = Wording(Segment(saying.attribute, text), (saying,))
        first.setdefault(fold(text), wording)
    shared = _with_shared_nouns(tuple(first.values()))
    return tuple(sorted(shared, key=lambda one: layout.place(one.segment.attribute)))


@dataclass(frozen=True)
class Seating:
    """What fits a budget, in the order given, and what does not; separator: what stands between."""

    kept: tuple[Wording, ...]
    over: tuple[Wording, ...]
    separator: str

    @property
    def prompt(self) -> str:
        return joined((wording.segment.text for wording in self.kept), self.separator)


def fitted(wordings: Sequence[Wording], tokenizer: Tokenizer | None, budget: int) -> Seating:
    """Seat what fits the budget, by layout.toml's priority.

    Commas cost a token each: they go before anything that was asked for does.
    Raises PromptTooLong if the subject alone does not fit.
    """
    seating = _seated(wordings, tokenizer, budget, SEPARATOR)
    if seating.over:
        without_commas = _seated(wordings, tokenizer, budget, " ")
        if len(without_commas.over) < len(seating.over):
            return without_commas
    return seating


def _seated(
    wordings: Sequence[Wording], tokenizer: Tokenizer | None, budget: int, separator: str
) -> Seating:
    rank = {name: place for place, name in enumerate(priority())}
    kept: set[int] = set()
    for index in sorted(range(len(wordings)), key=lambda i: rank[wordings[i].segment.attribute]):
        texts = (wordings[i].segment.text for i in sorted(kept | {index}))
        prompt = joined(texts, separator)
        tokens = count_tokens(prompt, tokenizer)
        if tokens <= budget:
            kept.add(index)
        elif wordings[index].segment.attribute == SUBJECT:
            raise PromptTooLong(tokens, budget, prompt)
    return Seating(
        tuple(wording for index, wording in enumerate(wordings) if index in kept),
        tuple(wording for index, wording in enumerate(wordings) if index not in kept),
        separator,
    )


def _shortest(saying: Saying, own_words: str, tokenizer: Tokenizer | None) -> str:
    """Of the phrasings with the fewest tokens the user's own, else the first."""
    counted = [count_tokens(phrasing, tokenizer) for phrasing in saying.phrasings]
    shortest = [
        phrasing
        for phrasing, tokens in zip(saying.phrasings, counted, strict=True)
        if tokens == min(counted)
    ]
    own = fold(own_words)
    return next((phrasing for phrasing in shortest if fold(phrasing) == own), shortest[0])


def _with_shared_nouns(wordings: Sequence[Wording]) -> tuple[Wording, ...]:
    """ "long hair", "curly hair", "brown hair" as "long curly brown hair".

    Attributes whose free values are said by one template speak of one thing.
    """
    groups: dict[str, list[Wording]] = {}
    for wording in wordings:
        if noun := _shared_noun(wording.segment):
            groups.setdefault(noun, []).append(wording)
    replaced: dict[Wording, Wording | None] = {}
    for noun, group in groups.items():
        if len(group) > 1:
            modifiers = (wording.segment.text.removesuffix(noun) for wording in group)
            text = " ".join(modifiers) + noun
            last = group[-1]
            sayings = tuple(saying for wording in group for saying in wording.sayings)
            replaced |= dict.fromkeys(group)
            replaced[last] = Wording(Segment(last.segment.attribute, text), sayings)
    changed = (replaced.get(wording, wording) for wording in wordings)
    return tuple(wording for wording in changed if wording is not None)


def _shared_noun(segment: Segment) -> str | None:
    """The ending " hair" of a segment, if other attributes end so, too."""
    topics = lexicon().topics
    if segment.attribute not in topics:
        return None
    template = topics[segment.attribute].templates[0]
    noun = template.removeprefix("{}")
    sharing = sum(template == topic.templates[0] for topic in topics.values())
    return noun if noun and sharing > 1 and segment.text.endswith(noun) else None
