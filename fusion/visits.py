"""The visits of one request to its stages: announced, recorded, and kept in its task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from fusion.memory import free_device_memory, is_out_of_memory
from fusion.progress import Event, EventKind, Handle
from fusion.recovery import REPORTED, StagePolicy, is_fault
from fusion.trace import Notes, Stage, Trace, TraceRecorder

T = TypeVar("T")


class Visits:
    """What a request's handle is told of its stages. attempt: of the drawing, counted from 1."""

    def __init__(self, handle: Handle, recovery: Mapping[Stage, StagePolicy]) -> None:
        """recovery: what is done where a stage fails."""
        self.handle = handle
        self._recovery = recovery
        self.attempt = 1
        self._recorder = TraceRecorder()

    @property
    def trace(self) -> Trace:
        """Every visit so far."""
        return self._recorder.trace

    def run(
        self, stage: Stage, work: Callable[[Notes], T], without: Callable[[], T] | None = None
    ) -> T:
        """What a stage gives, tried again as its policy says; each try is a visit of its own.

        without: gives what is gone on with where the policy skips the stage. Raises what `work`
        raises, and FusionCancelled.
        """
        policy = self._recovery.get(stage, REPORTED)
        skips = policy.then == "skip" and without is not None
        for left in reversed(range(policy.retries + 1)):
            out_of_memory = False
            with self._visit(stage) as notes:
                try:
                    return work(notes)
                except Exception as error:
                    if not is_fault(error):
                        raise
                    # Its name only: what it says may hold paths.
                    fault = f"failed: {type(error).__name__}"
                    notes.decided(f"{fault}, tried again" if left else fault)
                    if not left and not skips:
                        raise
                    if not left:
                        notes.downgraded(f"{stage}: left out, as it {fault}")
                    out_of_memory = is_out_of_memory(error)
            if out_of_memory:
                free_device_memory()  # here, where nothing holds what the failure had allocated
            if left:
                self.handle.pause(policy.pause_seconds)
        assert without is not None
        return without()

    @contextmanager
    def _visit(self, stage: Stage) -> Iterator[Notes]:
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

    def end(
        self,
        stage: Stage,
        seconds: float,
        memory_delta_bytes: int,
        notes: Notes,
        cpu_seconds: float,
    ) -> None:
        """Record a visit that `begin` announced."""
        self._recorder.add(stage, seconds, memory_delta_bytes, notes, cpu_seconds)
        self._keep()

    def _keep(self) -> None:
        self.handle.advance(self.handle.task.traced(self.trace))
