"""A least-recently-used cache with a budget in bytes and pins; thread-safe, knows no tensors."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from cache.statistics import CacheStatistics, Counters

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class _Entry(Generic[V]):
    value: V
    size_bytes: int
    pins: int = 0


class ByteLRU(Generic[K, V]):
    """Values by key, at most `max_bytes` of them together.

    Whatever was used longest ago is evicted first, never what is pinned. A value's size is what the
    caller says it is, fixed when it is put. Invariants: size ≤ budget; pinned ≤ size; a value that
    finds no room changes nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes}: a budget is not negative")
        self.max_bytes = max_bytes
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()  # least recently used first
        self._size_bytes = 0
        self._pinned_bytes = 0
        self._counters = Counters()
        self._lock = threading.RLock()

    def get(self, key: K) -> V | None:
        """The value, now the most recently used; None if it is not held. Counts a hit or a miss."""
        with self._lock:
            entry = self._looked_up(key)
            return None if entry is None else entry.value

    def put(self, key: K, value: V, size_bytes: int) -> bool:
        """Holds a value, evicting what was used longest ago; the old value of the key goes.

        False if there is no room beside what is pinned: then everything is as it was. A pinned key
        keeps its value, and the answer is True: keys are content, so the value is the same.
        """
        if size_bytes < 0:
            raise ValueError(f"size_bytes is {size_bytes}: a size is not negative")
        with self._lock:
            old = self._entries.get(key)
            if old is not None and old.pins:
                self._entries.move_to_end(key)
                return True
            if size_bytes > self.max_bytes - self._pinned_bytes:
                self._counters.refusals += 1
                return False
            if old is not None:
                self._forget(key)
            while self._size_bytes + size_bytes > self.max_bytes:
                self._forget(self._eldest_unpinned())
                self._counters.evictions += 1
            self._entries[key] = _Entry(value, size_bytes)
            self._size_bytes += size_bytes
            self._counters.insertions += 1
            return True

    @contextmanager
    def pinned(self, key: K) -> Iterator[V | None]:
        """The value, as `get` gives it, kept from eviction until the block is left, however it is.

        A value may be pinned several times; it is free again when the last block is left.
        """
        with self._lock:
            entry = self._looked_up(key)
            if entry is not None:
                self._pin(entry, 1)
        try:
            yield None if entry is None else entry.value
        finally:
            with self._lock:
                if entry is not None:
                    self._pin(entry, -1)

    def remove(self, key: K) -> bool:
        """Forgets a value; False if it was not held or is pinned."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.pins:
                return False
            self._forget(key)
            return True

    def clear(self, where: Callable[[K], bool] = lambda key: True) -> int:
        """Forgets everything that is not pinned, or those keys of it only; how many. The counts
        stay.
        """
        with self._lock:
            return sum(self.remove(key) for key in list(self._entries) if where(key))

    def keys(self) -> tuple[K, ...]:
        """The keys held, least recently used first."""
        with self._lock:
            return tuple(self._entries)

    def statistics(self) -> CacheStatistics:
        """Counts so far, and what is held now."""
        with self._lock:
            return self._counters.snapshot(
                entries=len(self._entries),
                size_bytes=self._size_bytes,
                pinned_bytes=self._pinned_bytes,
                max_bytes=self.max_bytes,
            )

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def __contains__(self, key: K) -> bool:
        """Whether a key is held; neither counted nor a use."""
        with self._lock:
            return key in self._entries

    def _looked_up(self, key: K) -> _Entry[V] | None:
        entry = self._entries.get(key)
        if entry is None:
            self._counters.misses += 1
            return None
        self._counters.hits += 1
        self._entries.move_to_end(key)
        return entry

    def _pin(self, entry: _Entry[V], step: int) -> None:
        before, entry.pins = entry.pins, entry.pins + step
        if not (before and entry.pins):  # the first pin, or the last one gone
            self._pinned_bytes += step * entry.size_bytes

    def _eldest_unpinned(self) -> K:
        return next(key for key, entry in self._entries.items() if not entry.pins)

    def _forget(self, key: K) -> None:
        self._size_bytes -= self._entries.pop(key).size_bytes
