"""What is held, in the order of its use, and what goes first when room is needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterable, Iterator
from itertools import takewhile
from typing import Protocol

from cache.prefix_records import Namespace
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
        later = list(takewhile(lambda each: each is not other, reversed(self._slabs)))
        self.add(held)
        for each in reversed(later):
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

    def victims(
        self, policy: EvictionPolicy, tick: int, going: Container[Held] = ()
    ) -> Iterator[Held]:
        """What goes, in order, after those that are going already: never what is pinned, and a slab
        after those that continue it. Nothing may change before the last one wanted is taken.
        """
        wholes = (held for held in self._wholes if not held.pins and held not in going)
        slabs = _leaves_first(self._slabs, going)
        whole, slab = next(wholes, None), next(slabs, None)
        while whole is not None or slab is not None:
            if slab is None or (
                whole is not None
                and self.score(whole, policy, tick) >= self.score(slab, policy, tick)
            ):
                assert whole is not None
                yield whole
                whole = next(wholes, None)
            else:
                yield slab
                slab = next(slabs, None)

    def score(self, held: Held, policy: EvictionPolicy, tick: int) -> float:
        """How dispensable something held is."""
        age = tick - held.tick + 1
        return policy.score(held.size_bytes, held.positions, age)

    def unused_since(self, seconds: float) -> Iterator[Held]:
        """What may go and was last used before that time of the pool's wall clock, in an order in
        which it can go. Nothing may change before the last one is taken.
        """
        for held in takewhile(lambda held: held.seconds < seconds, self._wholes):
            if not held.pins:
                yield held
        yield from _leaves_first(takewhile(lambda held: held.seconds < seconds, self._slabs))

    def __iter__(self) -> Iterator[Held]:
        yield from self._wholes
        yield from self._slabs

    def __len__(self) -> int:
        return len(self._wholes) + len(self._slabs)

    def _queue(self, held: Held) -> OrderedDict[Held, None]:
        return self._slabs if held.is_slab else self._wholes


class Queues:
    """What is held by all and by each namespace; one that holds nothing leaves nothing behind."""

    def __init__(self) -> None:
        self.everything = Recency()
        self._own: dict[Namespace, Recency] = {}

    def of(self, namespace: Namespace | None) -> Recency:
        """What a namespace holds, or what all hold, to be read."""
        return self.everything if namespace is None else self._own.get(namespace) or Recency()

    def namespaces(self) -> tuple[Namespace, ...]:
        """Those that hold something."""
        return tuple(self._own)

    def both(self, held: Held) -> tuple[Recency, Recency]:
        """The two queues in which something is held."""
        return self.everything, self._own[held.scope.namespace]

    def add(self, held: Held) -> None:
        """At the end that is evicted last."""
        self._own.setdefault(held.scope.namespace, Recency())
        for queue in self.both(held):
            queue.add(held)

    def remove(self, held: Held) -> None:
        """Never what is pinned."""
        for queue in self.both(held):
            queue.remove(held)
        if not self._own[held.scope.namespace]:
            del self._own[held.scope.namespace]


def _leaves_first(slabs: Iterable[Held], going: Container[Held] = ()) -> Iterator[Held]:
    """Those of some slabs that may go, in their order, but each after all that continue it; linear
    in their number.
    """
    gone: set[Held] = set()
    passed: set[Held] = set()  # slabs that others continue
    left: dict[Held, int] = {}  # how many still do, counted once the first of them goes

    def stays(slab: Held | None) -> bool:
        return slab is not None and slab not in gone and slab not in going

    for held in slabs:
        if held.pins or held in going:
            continue
        if any(stays(child.slab) for child in held.node.children.values()):
            passed.add(held)
            continue
        each: Held | None = held
        while each is not None:
            yield each
            gone.add(each)
            above = each.node.parent.slab if each.node.parent is not None else None
            each = None
            if above is not None and above in passed:
                if above in left:
                    left[above] -= 1
                else:
                    children = above.node.children.values()
                    left[above] = sum(stays(child.slab) for child in children)
                each = above if not left[above] else None
