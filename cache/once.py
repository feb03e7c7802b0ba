"""What is made once and shared for as long as somebody holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from cache.keys import Digest

V = TypeVar("V")


class OnceEach(Generic[V]):
    """Values by content key, held by their users alone: the last one to let go frees it.

    Who asks for a value that another thread is making waits for it. Thread-safe.
    """

    def __init__(self) -> None:
        self._held: WeakValueDictionary[Digest, V] = WeakValueDictionary()
        self._making: dict[Digest, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Digest, make: Callable[[], V]) -> V:
        """The value of a key, made if nobody holds it. Raises what `make` raises."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            value = self._held.get(key)
            if value is None:
                value = self._held[key] = make()
            return value

    def __len__(self) -> int:
        return len(self._held)
