"""What is held, in the order of its use, and what goes first when room is needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Iterator
from typing import Protocol

from cache.radix import Held


class EvictionPolicy(Protocol):
    """Orders what could go: the greatest score goes first."""

    def score(self, size_bytes: int, positions: int, age: int) -> float:
        """How dispensable something is that saves `positions` and was used `age` lookups ago."""


class LeastUseful:
    """Least recently used first, an age being weighed by the bytes that a saved position costs.

    Among things of one kind this is plain LRU. A whole prompt's states are some 25 times smaller
    than the K/V of the same positions, so a slab must be used that much more often to stay: with
    rates estimated by ages, this evicts what saves the fewest positions per byte and lookup.
    """

    def score(self, size_bytes: int, positions: int, age: int) -> float:
        return age * size_bytes / positions


class Recency:
    """Two queues, of whole prompts and of slabs, least recently used first."""

    def __init__(self) -> None:
        self._wholes: OrderedDict[Held, None] = OrderedDict()
        self._slabs: OrderedDict[Held, None] = OrderedDict()
        self.size_bytes = 0
        self.pinned_bytes = 0

    def add(self, held: Held) -> None:
        """At the end that is evicted last."""
        self._queue(held)[held] = None
        self.size_bytes += held.size_bytes
        self.pinned_bytes += held.size_bytes if held.pins else 0

    def remove(self, held: Held) -> None:
        """Never what is pinned."""
        del self._queue(held)[held]
        self.size_bytes -= held.size_bytes

    def touch(self, held: Held) -> None:
        self._queue(held).move_to_end(held)

    def add_behind(self, held: Held, other: Held) -> None:
        """As recent as another of its kind, and evicted after it."""
        later = list(self._slabs)
        later = later[later.index(other) + 1 :]
        self.add(held)
        for each in later:
            self._slabs.move_to_end(each)

    def resize(self, held: Held, size_bytes: int) -> None:
        """Something held is about to have another size."""
        growth = size_bytes - held.size_bytes
        self.size_bytes += growth
        self.pinned_bytes += growth if held.pins else 0

    def pin(self, held: Held, step: int) -> None:
        """Something held is about to be pinned once more (1) or once less (-1)."""
        before, after = held.pins, held.pins + step
        if bool(before) != bool(after):
            self.pinned_bytes += step * held.size_bytes

    def victim(self, policy: EvictionPolicy, tick: int, going: Container[Held] = ()) -> Held | None:
        """What goes first, after those that are going already: never what is pinned, never a slab
        that another one continues.
        """
        eldest = [
            _first(queue, lambda held: held not in going and _may_go(held, going))
            for queue in (self._wholes, self._slabs)
        ]
        found = [held for held in eldest if held is not None]
        return max(found, key=lambda held: self.score(held, policy, tick)) if found else None

    def score(self, held: Held, policy: EvictionPolicy, tick: int) -> float:
        """How dispensable something held is."""
        age = tick - held.tick + 1
        return policy.score(held.size_bytes, held.positions, age)

    def unused_since(self, seconds: float) -> Held | None:
        """Something last used before that time of the pool's wall clock; a slab only as a leaf."""
        for queue in (self._wholes, self._slabs):
            for held in queue:
                if held.seconds >= seconds:
                    break
                if _may_go(held):
                    return held
        return None

    def __iter__(self) -> Iterator[Held]:
        yield from self._wholes
        yield from self._slabs

    def __len__(self) -> int:
        return len(self._wholes) + len(self._slabs)

    def _queue(self, held: Held) -> OrderedDict[Held, None]:
        return self._slabs if held.is_slab else self._wholes


def _may_go(held: Held, going: Container[Held] = ()) -> bool:
    return not held.pins and not (held.is_slab and held.node.has_slab_below(going))


def _first(queue: OrderedDict[Held, None], allowed: Callable[[Held], bool]) -> Held | None:
    return next((held for held in queue if allowed(held)), None)
