"""What a request tells while it is drawn, and the handle that listens, waits and cancels."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from PIL import Image

from fusion.errors import FusionCancelled
from fusion.task import FusionTask, TaskState
from fusion.trace import Stage
from fusion.usage import Spent, added, whole

if TYPE_CHECKING:
    from fusion.drawing import DrawingSpent
    from fusion.result import FusionResult

_log = logging.getLogger(__name__)


class EventKind(StrEnum):
    """What an event tells."""

    QUEUED = "queued"
    STAGE = "stage"  # a stage begins
    STEP = "step"  # a denoising step is done
    PREVIEW = "preview"  # what the first picture is becoming
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def last(self) -> bool:
        """Whether no event follows."""
        return self not in (
            EventKind.QUEUED,
            EventKind.STAGE,
            EventKind.STEP,
            EventKind.PREVIEW,
        )


@dataclass(frozen=True)
class Event:
    """One thing that happened to a task. step, steps: of the drawing, 0 outside of it.

    attempt: counted from 1; above 1 the identity gate asked for another drawing. image: of a
    preview.
    """

    task_id: str
    kind: EventKind
    stage: Stage | None = None
    step: int = 0
    steps: int = 0
    attempt: int = 1
    message: str = ""
    image: Image.Image | None = field(default=None, compare=False)


@dataclass
class _Outcome:
    task: FusionTask
    result: FusionResult | None = None
    error: BaseException | None = None
    events: list[Event] = field(default_factory=list)
    drawings: list[DrawingSpent] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    ended: bool = False


@dataclass(eq=False)
class _Listener:
    """Who is called back. told: events so far; busy: whether a thread is telling it right now."""

    callback: Callable[[Event], None]
    told: int = 0
    busy: bool = False
    dropped: bool = False


class Handle:
    """A submitted request. Safe to use from any thread."""

    def __init__(self, task: FusionTask, on_cancel: Callable[[], None] | None = None) -> None:
        """on_cancel: called once `cancel` was, by the thread that called it."""
        self._outcome = _Outcome(task)
        self._on_cancel = on_cancel
        self._listeners: list[_Listener] = []
        self._changed = threading.Condition()
        self._cancelled = threading.Event()
        self.emit(Event(task.id, EventKind.QUEUED))

    @property
    def task(self) -> FusionTask:
        """The task as it is now."""
        with self._changed:
            return self._outcome.task

    @property
    def spent(self) -> Spent:
        """What it has taken so far, also of a request that failed or was cancelled."""
        with self._changed:
            drawings = self._outcome.drawings
            return Spent(
                denoiser_evaluations=sum(one.evaluations for one in drawings),
                shallow_evaluations=sum(one.shallow_evaluations for one in drawings),
                denoiser_seconds=whole(sum(one.busy_seconds for one in drawings)),
                seconds_by_stage=self._outcome.task.trace.seconds_by_stage(),
                cpu_seconds_by_stage=self._outcome.task.trace.cpu_seconds_by_stage(),
                energy_millijoules=added(one.energy_millijoules for one in drawings),
                counts=dict(self._outcome.counts),
            )

    def events(self) -> Iterator[Event]:
        """Every event from the first, as they come; ends with the task."""
        position = 0
        while True:
            with self._changed:
                while position >= len(self._outcome.events):
                    self._changed.wait()
                event = self._outcome.events[position]
            position += 1
            yield event
            if event.kind.last:
                return

    def listen(self, callback: Callable[[Event], None]) -> None:
        """Call back with every event from the first, in order, each once; those there are already
        at once, later ones in the thread that emits them.

        The last one is the ending, when `done` and `result` hold. The engine waits for a callback:
        hand the event on and return. It may use the handle, `cancel` too; one that raises is logged
        and not called again.
        """
        listener = _Listener(callback)
        with self._changed:
            self._listeners.append(listener)
        self._tell(listener)

    def cancel(self) -> None:
        """Ask for the end: a waiting task is not started, a drawing stops within one step."""
        self._cancelled.set()
        on_cancel = self._on_cancel
        if on_cancel is not None:
            on_cancel()

    @property
    def cancel_requested(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but not for a request that is cancelled."""
        self._cancelled.wait(seconds)

    def check(self) -> None:
        """Raises FusionCancelled if `cancel` was called."""
        if self._cancelled.is_set():
            raise FusionCancelled(f"request {self.task.id} was cancelled")

    def done(self) -> bool:
        """Whether the task has ended, in whatever way."""
        with self._changed:
            return self._outcome.ended

    def result(self, timeout_seconds: float | None = None) -> FusionResult:
        """Wait for the portrait; raises what the drawing raised, and FusionCancelled.

        Raises TimeoutError after timeout_seconds; the request goes on.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._outcome.ended, timeout_seconds):
                raise TimeoutError(f"request {self._outcome.task.id} is not done yet")
            if self._outcome.error is not None:
                raise self._outcome.error
            if self._outcome.result is None:
                raise RuntimeError("the task ended without a result or an error")
            return self._outcome.result

    # What the engine tells the handle.

    def emit(self, event: Event) -> None:
        """Add an event; after the end, or once `cancel` was called, there are no more but that."""
        with self._changed:
            if self._outcome.ended or self._cancelled.is_set():
                return
            self._outcome.events.append(event)
            self._changed.notify_all()
        self._tell_all()

    def counted(self, **counts: int) -> None:
        """A stage before the denoising loop is done; see `Spent.counts`."""
        with self._changed:
            self._outcome.counts |= counts

    def took(self, drawing: DrawingSpent) -> None:
        """An attempt has left the denoising loop."""
        with self._changed:
            self._outcome.drawings.append(drawing)

    def advance(self, task: FusionTask) -> None:
        """The task has changed."""
        with self._changed:
            self._outcome.task = task
            self._changed.notify_all()

    def end(
        self,
        task: FusionTask,
        kind: EventKind,
        *,
        result: FusionResult | None = None,
        error: BaseException | None = None,
    ) -> None:
        """The task has ended: nothing changes any more."""
        with self._changed:
            self._outcome.task = task
            self._outcome.result = result
            self._outcome.error = error
            self._outcome.ended = True
            self._on_cancel = None  # it holds the engine
            message = "" if error is None else str(error)
            self._outcome.events.append(Event(task.id, kind, message=message))
            self._changed.notify_all()
        self._tell_all()

    def _tell_all(self) -> None:
        with self._changed:
            listeners = list(self._listeners)
        for listener in listeners:
            self._tell(listener)

    def _tell(self, listener: _Listener) -> None:
        """Tell what it has not heard, with no lock held. Where a thread is at it, that one goes on,
        so that the order holds.
        """
        while (event := self._next_for(listener)) is not None:
            try:
                listener.callback(event)
            except BaseException as error:  # whatever it is, it is not the engine's
                listener.dropped = True
                _log.exception("a listener of request %s failed and is dropped", event.task_id)
                if isinstance(error, KeyboardInterrupt):
                    raise
            finally:
                listener.busy = False

    def _next_for(self, listener: _Listener) -> Event | None:
        """Its next event, now being told; None if there is none, or another thread is at it."""
        with self._changed:
            events = self._outcome.events
            if listener.busy:
                return None
            if listener.dropped or (listener.told == len(events) and events[-1].kind.last):
                if listener in self._listeners:
                    self._listeners.remove(listener)  # it holds its owner
                return None
            if listener.told == len(events):
                return None
            listener.busy = True
            listener.told += 1
            return events[listener.told - 1]


ENDING: dict[TaskState, EventKind] = {
    TaskState.DONE: EventKind.DONE,
    TaskState.FAILED: EventKind.FAILED,
    TaskState.CANCELLED: EventKind.CANCELLED,
    TaskState.EXPIRED: EventKind.EXPIRED,
}
