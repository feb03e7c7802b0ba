"""A thread that does one thing after the other, and lives as long as there is something to do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext


class Worker:
    """Runs tasks in the order they were put. A task must not raise: it has nobody to tell."""

    def __init__(
        self, name: str, within: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        """within: what the thread's life is led in."""
        self._name = name
        self._within = within
        self._tasks: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None  # the last one, ended or not
        self._working = False
        self._lock = threading.Lock()

    def put(self, task: Callable[[], None]) -> None:
        """Run a task after those put before it."""
        with self._lock:
            self._tasks.append(task)
            if not self._working:
                self._working = True
                self._thread = threading.Thread(target=self._work, name=self._name)
                self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether this is the thread that asks."""
        return self._thread is threading.current_thread()

    def join(self) -> None:
        """Wait until nothing is left to do; at once where the worker itself asks."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _work(self) -> None:
        with self._within():
            while (task := self._next()) is not None:
                task()
                del task  # not to hold what it holds until the next one comes

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._tasks:
                return self._tasks.popleft()
            self._working = False
            return None
