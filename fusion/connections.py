"""Counts connections that threads of ours open: that nothing leaves the machine is measured."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

_EVENTS: Final = ("socket.connect", "socket.sendto", "socket.sendmsg")


class ConnectionCount:
    """How many connections and datagrams the threads that are in `here` have opened and sent."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    @contextmanager
    def here(self) -> Iterator[None]:
        """Count those of this thread within the block."""
        _hooked()
        before = getattr(_thread, "count", None)
        _thread.count = self
        try:
            yield
        finally:
            _thread.count = before

    def one_more(self) -> None:
        """Another was opened."""
        with self._lock:
            self.count += 1


_thread: Final = threading.local()


@cache
def _hooked() -> None:
    sys.addaudithook(_heard)  # stays for the life of the process (PEP 578)


def _heard(event: str, _arguments: tuple[object, ...]) -> None:
    if event in _EVENTS:
        count: ConnectionCount | None = getattr(_thread, "count", None)
        if count is not None:
            count.one_more()
