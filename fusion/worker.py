"""A thread that does one thing after the other, and waits a while for more before it ends."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

# A new thread has no memory of its own yet: its first step takes longer.
LINGER_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1  # how often a waiting thread looks whether the program is ending


class Worker:
    """Runs tasks in the order they were put; one that raises is told to threading.excepthook.

    A program that ends waits for the tasks, and not for the thread.
    """

    def __init__(
        self, name: str, within: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        """within: what the thread's life is led in."""
        self._name = name
        self._within = within
        self._tasks: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None  # the last one, ended or not
        self._alive = False
        self._leaving = False
        self._changed = threading.Condition()

    def put(self, task: Callable[[], None]) -> None:
        """Run a task after those put before it. Raises RuntimeError where no thread can start."""
        with self._changed:
            if not self._alive:
                thread = threading.Thread(target=self._work, name=self._name)
                thread.start()  # it waits for the lock, and finds the task
                self._thread, self._alive = thread, True
            self._tasks.append(task)
            self._changed.notify()

    @property
    def is_current(self) -> bool:
        """Whether this is the thread that asks."""
        return self._thread is threading.current_thread()

    def join(self) -> None:
        """Wait until nothing is left to do and the thread has ended; at once where it asks."""
        thread = self._thread
        if thread is None or self.is_current:
            return
        with self._changed:
            self._leaving = True
            self._changed.notify()
        thread.join()
        self._leaving = False

    def _work(self) -> None:
        with self._within():
            while (task := self._next()) is not None:
                try:
                    task()
                except BaseException as error:
                    told = threading.ExceptHookArgs((type(error), error, error.__traceback__, None))
                    threading.excepthook(told)
                del task  # not to hold what it holds until the next one comes

    def _next(self) -> Callable[[], None] | None:
        until = time.monotonic() + LINGER_SECONDS
        with self._changed:
            while not self._tasks:
                left = until - time.monotonic()
                if self._leaving or left <= 0 or not threading.main_thread().is_alive():
                    self._alive = False
                    return None
                self._changed.wait(min(left, _LOOK_SECONDS))
            return self._tasks.popleft()
