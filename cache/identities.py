"""Faces already analysed, by the picture and by everything that analysed it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cache.keys import Digest
from cache.lru import ByteLRU
from cache.prefix_records import Namespace
from cache.statistics import CacheStatistics

V = TypeVar("V")

# What a key and its bookkeeping take: a picture in which nothing was found is not free.
ENTRY_BYTES = 512


@dataclass(frozen=True)
class IdentityKey:
    """What the faces found in a picture depend on.

    image: digest of the picture's content (its pixels with shape and dtype, or its file's bytes).
    analyser: digest of the detector's and recogniser's weights and every setting of theirs,
    thresholds and sizes included. namespace: whose picture it is; () for everyone's.
    """

    image: Digest
    analyser: Digest
    namespace: Namespace = ()


class IdentityStore(Generic[V]):
    """Remembers what was found in pictures (a tuple of faces, say), within a budget in bytes.

    size_of gives a value's size in bytes. "Nothing was found" is a value too, such as an empty
    tuple; None is not.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[V], int]) -> None:
        self._found: ByteLRU[IdentityKey, V] = ByteLRU(max_bytes)
        self._size_of = size_of

    def find(self, key: IdentityKey) -> V | None:
        """What was found in this picture by this analyser; None if it is not remembered."""
        return self._found.get(key)

    def remember(self, key: IdentityKey, found: V) -> None:
        """Keeps what was found, if it fits the budget."""
        self._found.put(key, found, ENTRY_BYTES + self._size_of(found))

    def find_or_analyse(self, key: IdentityKey, analyse: Callable[[], V]) -> V:
        """What was found in this picture, analysing it if need be; a failure is not remembered.

        The analysis runs outside the lock: two threads that miss at once both analyse.
        """
        found = self.find(key)
        if found is None:
            found = analyse()
            self.remember(key, found)
        return found

    def clear(self, namespace: Namespace | None = None) -> int:
        """Forgets every face, or those of one namespace; of how many pictures."""
        return self._found.clear(lambda key: namespace in (None, key.namespace))

    def statistics(self) -> CacheStatistics:
        """Counts so far, and what is held now."""
        return self._found.statistics()
