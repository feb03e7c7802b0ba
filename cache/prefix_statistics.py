"""Counts of a prefix pool's traffic, and what it holds."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass, field, fields

from cache.prefix_records import Namespace


@dataclass(frozen=True)
class PrefixStatistics:
    """What a pool has done so far, and what it holds now; sizes in bytes.

    wholes: prompts found finished; prefixes: prompts of which a beginning was found.
    positions_asked, positions_reused: of all prompts looked up. recent_reuse: the share of
    positions reused among the latest lookups, 0 to 1.
    """

    lookups: int = 0
    wholes: int = 0
    prefixes: int = 0
    positions_asked: int = 0
    positions_reused: int = 0
    recent_reuse: float = 0.0
    insertions: int = 0
    evictions: int = 0
    expirations: int = 0
    refusals: int = 0
    held_wholes: int = 0
    held_slabs: int = 0
    size_bytes: int = 0
    whole_bytes: int = 0
    slab_bytes: int = 0
    pinned_bytes: int = 0
    max_bytes: int = 0

    @property
    def misses(self) -> int:
        """Prompts of which nothing was found."""
        return self.lookups - self.wholes - self.prefixes

    @property
    def hit_rate(self) -> float:
        """Prompts found finished, of all, 0 to 1."""
        return self.wholes / self.lookups if self.lookups else 0.0

    @property
    def reuse(self) -> float:
        """Positions reused, of all asked for, 0 to 1."""
        return self.positions_reused / self.positions_asked if self.positions_asked else 0.0


RECENT_LOOKUPS = 1000
COUNTED_NAMESPACES = 1000


class Recent:
    """The positions of the latest lookups, at eight bytes a lookup."""

    def __init__(self) -> None:
        self._asked, self._reused = array("i"), array("i")
        self._next = 0

    def add(self, asked: int, reused: int) -> None:
        """One lookup; it takes the place of the eldest."""
        if len(self._asked) < RECENT_LOOKUPS:
            self._asked.append(asked)
            self._reused.append(reused)
        else:
            self._asked[self._next], self._reused[self._next] = asked, reused
            self._next = (self._next + 1) % RECENT_LOOKUPS

    @property
    def reuse(self) -> float:
        """Positions reused, of all asked for, 0 to 1."""
        asked = sum(self._asked)
        return sum(self._reused) / asked if asked else 0.0


@dataclass
class PrefixCounters:
    """The running counts; whoever counts holds the pool's lock."""

    lookups: int = 0
    wholes: int = 0
    prefixes: int = 0
    positions_asked: int = 0
    positions_reused: int = 0
    insertions: int = 0
    evictions: int = 0
    expirations: int = 0
    refusals: int = 0
    recent: Recent = field(default_factory=Recent)

    def looked_up(self, asked: int, reused: int, whole: bool) -> None:
        """One prompt of `asked` positions, of which `reused` were found; whole: it was finished."""
        self.lookups += 1
        self.wholes += whole
        self.prefixes += reused > 0 and not whole
        self.positions_asked += asked
        self.positions_reused += reused
        self.recent.add(asked, reused)

    def snapshot(self, **held: int) -> PrefixStatistics:
        """The counts so far, with what the pool holds now."""
        counted = {name: getattr(self, name) for name in _COUNTED}
        return PrefixStatistics(**counted, **held, recent_reuse=self.recent.reuse)


_COUNTED = tuple(each.name for each in fields(PrefixCounters) if each.name != "recent")


class PoolCounters:
    """The counts of a whole pool, and of the namespaces that last asked it for something.

    Those of a namespace that has not asked for long are dropped, and begin anew when it asks again;
    the total has them all the same.
    """

    def __init__(self) -> None:
        self.total = PrefixCounters()
        self._own: OrderedDict[Namespace, PrefixCounters] = OrderedDict()

    def of(self, namespace: Namespace | None) -> PrefixCounters:
        """A namespace's counts, or the total, to be read."""
        return self.total if namespace is None else self._own.get(namespace) or PrefixCounters()

    def asked(self, namespace: Namespace) -> tuple[PrefixCounters, ...]:
        """The counts that go up with what a namespace does."""
        self._own.setdefault(namespace, PrefixCounters())
        self._own.move_to_end(namespace)
        if len(self._own) > COUNTED_NAMESPACES:
            self._own.popitem(last=False)
        return self.total, self._own[namespace]

    def befallen(self, namespace: Namespace) -> tuple[PrefixCounters, ...]:
        """The counts that go up with what is done to a namespace, which may have been dropped."""
        own = self._own.get(namespace)
        return (self.total,) if own is None else (self.total, own)
