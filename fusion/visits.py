"""The visits of one request to its stages: announced, recorded, and kept in its task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fusion.progress import Event, EventKind, Handle
from fusion.trace import Notes, Stage, Trace, TraceRecorder


class Visits:
    """What a request's handle is told of its stages. attempt: of the drawing, counted from 1."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.attempt = 1
        self._recorder = TraceRecorder()

    @property
    def trace(self) -> Trace:
        """Every visit so far."""
        return self._recorder.trace

    @contextmanager
    def to(self, stage: Stage) -> Iterator[Notes]:
        """One visit, not begun once the request is cancelled. Raises FusionCancelled."""
        self.begin(stage)
        try:
            with self._recorder.visit(stage) as notes:
                yield notes
        finally:
            self._keep()

    def begin(self, stage: Stage) -> None:
        """Announce a visit that ends elsewhere, by `end`. Raises FusionCancelled."""
        self.handle.check()
        self.handle.emit(Event(self.handle.task.id, EventKind.STAGE, stage, attempt=self.attempt))

    def end(self, stage: Stage, seconds: float, memory_delta_bytes: int, notes: Notes) -> None:
        """Record a visit that `begin` announced."""
        self._recorder.add(stage, seconds, memory_delta_bytes, notes)
        self._keep()

    def _keep(self) -> None:
        self.handle.advance(self.handle.task.traced(self.trace))
