"""Which order of a prompt's segments makes its beginnings long, learned from recent prompts.

A radix tree is small where early segments vary little. The order that is greedily best puts the
segment first whose tokens have the least conditional entropy, given those before it.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

PROMPT_POSITIONS: Final = 77  # what a CLIP text encoder computes for a prompt, padding included


@dataclass(frozen=True)
class SegmentUse:
    """One segment of one prompt: its name, its words, and its length in tokens."""

    name: str
    words: str
    tokens: int


PromptUse = tuple[SegmentUse, ...]


@dataclass(frozen=True)
class SegmentOrder:
    """An order of segment names, and its number: whoever draws by it says so."""

    names: tuple[str, ...]
    version: int


def entropy_order(prompts: Sequence[PromptUse], current: Sequence[str]) -> tuple[str, ...]:
    """The names of `current`, least conditional entropy per token first; ties stay as they are.

    Per token, for a long segment that varies a little saves more at the front than a short one that
    hardly varies. A prompt without a segment has a value of its own there. Names that no prompt has
    come last.
    """
    columns = {name: _column(prompts, name) for name in current}
    tokens = {name: _tokens(prompts, name) for name in current}
    seen = [name for name in current if any(columns[name])]
    groups: list[int] = [0] * len(prompts)
    order: list[str] = []
    while seen:
        best = min(
            seen, key=lambda name: _conditional_entropy(groups, columns[name]) / tokens[name]
        )
        seen.remove(best)
        order.append(best)
        numbers: dict[tuple[int, str], int] = {}
        for index, value in enumerate(columns[best]):
            groups[index] = numbers.setdefault((groups[index], value), len(numbers))
    return (*order, *(name for name in current if name not in order))


def computed_positions(
    prompts: Iterable[PromptUse], order: Sequence[str], known: set[PromptUse]
) -> int:
    """Positions a text encoder with boundless memory computes for prompts said in this order.

    known: beginnings already held, added to as prompts come.
    """
    rank = {name: place for place, name in enumerate(order)}
    computed = 0
    for prompt in prompts:
        said = tuple(sorted(prompt, key=lambda use: rank.get(use.name, len(rank))))
        held = next((n for n in range(len(said), -1, -1) if said[:n] in known), 0)
        if held < len(said) or not said:
            first = 1 + sum(use.tokens + 1 for use in said[:held]) if held else 0
            computed += max(1, PROMPT_POSITIONS - first)
        known.update(said[:n] for n in range(1, len(said) + 1))
    return computed


class LayoutMonitor:
    """Watches how much is reused, and proposes another order when too little is and it would pay.

    threshold: the share of positions reused, 0 to 1, under which a proposal is thought about.
    window: prompts looked back on. every: prompts between two thoughts. horizon: prompts ahead that
    a switch may count on: what it saves over them must exceed what it costs to encode the
    window's prompts anew.
    """

    def __init__(
        self,
        order: SegmentOrder,
        *,
        threshold: float = 0.6,
        window: int = 1000,
        every: int = 200,
        horizon: int = 10_000,
    ) -> None:
        self.order = order
        self.threshold = threshold
        self._every, self._horizon = every, horizon
        self._prompts: deque[PromptUse] = deque(maxlen=window)
        self._reuse: deque[tuple[int, int]] = deque(maxlen=window)
        self._since = 0

    @property
    def reuse(self) -> float:
        """The share of positions reused in the window, 0 to 1."""
        asked = sum(positions for positions, _ in self._reuse)
        return sum(reused for _, reused in self._reuse) / asked if asked else 1.0

    def record(self, prompt: PromptUse, positions: int, reused: int) -> None:
        """One prompt, and how many of its positions were reused."""
        self._prompts.append(prompt)
        self._reuse.append((positions, reused))
        self._since += 1

    def proposal(self) -> SegmentOrder | None:
        """A better order of the next version; None while the present one does, or nothing pays."""
        if self._since < self._every or self.reuse >= self.threshold:
            return None
        self._since = 0
        names = entropy_order(self._prompts, self.order.names)
        if names == self.order.names or self._saving(names) <= 0:
            return None
        return SegmentOrder(names, self.order.version + 1)

    def switch(self, order: SegmentOrder) -> None:
        """Another order is in force now; its reuse is judged from here on."""
        self.order = order
        self._reuse.clear()

    def hottest(self, count: int) -> tuple[PromptUse, ...]:
        """The prompts asked for most in the window, in the order in force: worth warming."""
        rank = {name: place for place, name in enumerate(self.order.names)}
        counted = Counter(self._prompts).most_common(count)
        return tuple(
            tuple(sorted(prompt, key=lambda use: rank.get(use.name, len(rank))))
            for prompt, _ in counted
        )

    def _saving(self, names: Sequence[str]) -> float:
        """Positions that an order saves over the horizon, less what the switch costs."""
        prompts = list(self._prompts)
        half = len(prompts) // 2
        warm_now: set[PromptUse] = set()
        warm_then: set[PromptUse] = set()
        computed_positions(prompts[:half], self.order.names, warm_now)
        cost = computed_positions(prompts[:half], names, warm_then)
        later = prompts[half:]
        now = computed_positions(later, self.order.names, warm_now)
        then = computed_positions(later, names, warm_then)
        if not later:
            return 0.0
        return (now - then) / len(later) * self._horizon - cost


def _column(prompts: Sequence[PromptUse], name: str) -> list[str]:
    return ["\n".join(use.words for use in prompt if use.name == name) for prompt in prompts]


def _tokens(prompts: Sequence[PromptUse], name: str) -> int:
    """Tokens that a segment takes in all prompts, its comma included."""
    return sum(use.tokens + 1 for prompt in prompts for use in prompt if use.name == name)


def _conditional_entropy(groups: Sequence[int], values: Sequence[str]) -> float:
    """H(value | group) in bits."""
    total = len(values)
    whole = Counter(groups)
    joint = Counter(zip(groups, values, strict=True))
    return sum(
        -count / total * math.log2(count / whole[group]) for (group, _), count in joint.items()
    )
