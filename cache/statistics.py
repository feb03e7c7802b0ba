"""Counts of a cache's traffic."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheStatistics:
    """What a cache has done so far, and what it holds now; sizes in bytes."""

    hits: int = 0
    misses: int = 0
    insertions: int = 0
    evictions: int = 0
    refusals: int = 0  # values that found no room
    entries: int = 0
    size_bytes: int = 0
    pinned_bytes: int = 0
    max_bytes: int = 0

    @property
    def lookups(self) -> int:
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float:
        """Hits per lookup, 0 to 1; 0 before the first lookup."""
        return self.hits / self.lookups if self.lookups else 0.0


@dataclass
class Counters:
    """The running counts behind a CacheStatistics; whoever counts holds its own lock."""

    hits: int = 0
    misses: int = 0
    insertions: int = 0
    evictions: int = 0
    refusals: int = 0

    def snapshot(
        self, *, entries: int, size_bytes: int, pinned_bytes: int, max_bytes: int
    ) -> CacheStatistics:
        """The counts so far, with what the cache holds now."""
        return CacheStatistics(
            hits=self.hits,
            misses=self.misses,
            insertions=self.insertions,
            evictions=self.evictions,
            refusals=self.refusals,
            entries=entries,
            size_bytes=size_bytes,
            pinned_bytes=pinned_bytes,
            max_bytes=max_bytes,
        )
