"""Counts of a prefix pool's traffic, and what it holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields


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
    recent: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=RECENT_LOOKUPS))

    def looked_up(self, asked: int, reused: int, whole: bool) -> None:
        """One prompt of `asked` positions, of which `reused` were found; whole: it was finished."""
        self.lookups += 1
        self.wholes += whole
        self.prefixes += reused > 0 and not whole
        self.positions_asked += asked
        self.positions_reused += reused
        self.recent.append((asked, reused))

    @classmethod
    def total(cls, all_counters: Iterable[PrefixCounters]) -> PrefixCounters:
        """The counts of several namespaces together."""
        total = cls(recent=deque(maxlen=None))
        for counters in all_counters:
            for name in _COUNTED:
                setattr(total, name, getattr(total, name) + getattr(counters, name))
            total.recent.extend(counters.recent)
        return total

    @property
    def recent_reuse(self) -> float:
        asked = sum(positions for positions, _ in self.recent)
        return sum(reused for _, reused in self.recent) / asked if asked else 0.0

    def snapshot(self, **held: int) -> PrefixStatistics:
        """The counts so far, with what the pool holds now."""
        counted = {name: getattr(self, name) for name in _COUNTED}
        return PrefixStatistics(**counted, **held, recent_reuse=self.recent_reuse)


_COUNTED = tuple(each.name for each in fields(PrefixCounters) if each.name != "recent")
