"""The one denoising loop of an engine: rows of all active requests, a step at a time.

Requests join and leave between steps. Rows carry their own timestep, scheduler, guidance and
identity scale, so that they share a batch whatever was asked; what a batch is conditioned on is
joined when its rows change and not before.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import torch
from torch import Tensor

from fusion.batching import Batcher, Lane
from fusion.denoiser import RowDenoiser
from fusion.drawing import Drawing
from fusion.errors import DrawingFailed
from fusion.sampler import Row, advance, foreseen
from fusion.worker import Worker
from models import RowConditions, release_team

_MOST_JOINED: Final = 4  # batches whose conditions are kept joined: two lanes, whole and shallow


@dataclass(frozen=True, eq=False)
class _Entry:
    """A row in the loop, and the drawing it belongs to. number: never given twice."""

    row: Row
    drawing: Drawing
    number: int


class StepLoop:
    """Draws whatever was admitted, in a thread of its own.

    Whatever goes wrong with a row ends its own drawing only. A batch that fails is halved until it
    is known whose row it was; one that finds no memory is drawn in smaller parts for a while.
    """

    def __init__(self, denoiser: Callable[[], RowDenoiser], largest_batch: int) -> None:
        """denoiser: called once there is something to draw. largest_batch: rows drawn together."""
        self._denoiser = denoiser
        self._rows: Batcher[_Entry] = Batcher(largest_batch)
        self._drawings: dict[Drawing, None] = {}
        self._arriving: deque[Drawing] = deque()
        self._joined: dict[tuple[object, ...], RowConditions] = {}
        self._numbers = count()
        self._pace = _Pace()
        self._worker = Worker("limner-engine")
        self._drawing = False
        self._lock = threading.Lock()

    def admit(self, *drawings: Drawing) -> None:
        """Take up drawings before the next step. The `done` of each is told when it leaves, by the
        loop's own thread.
        """
        with self._lock:
            self._arriving.extend(drawings)
            if not self._drawing:
                self._drawing = True
                self._worker.put(self._draw_all)

    @property
    def is_current(self) -> bool:
        """Whether this is the loop's thread that asks."""
        return self._worker.is_current

    def join(self) -> None:
        """Wait until nothing is left to draw; at once where the loop itself asks."""
        self._worker.join()

    def _draw_all(self) -> None:
        with torch.inference_mode():
            while self._take_up():
                try:
                    self._drop_stopped()
                    chosen = self._rows.next()
                    if chosen is not None:
                        self._step(*chosen)
                except BaseException as error:  # a fault of the loop itself: nobody waits for ever
                    for drawing in list(self._drawings):
                        self._end(drawing, error)
        release_team()  # others may compute meanwhile

    def _take_up(self) -> bool:
        """What has arrived joins. False where there is nothing to draw."""
        with self._lock:
            while self._arriving:
                drawing = self._arriving.popleft()
                drawing.joins()
                self._drawings[drawing] = None
                for row in drawing.rows:
                    entry = _Entry(row, drawing, next(self._numbers))
                    self._rows.add(entry, drawing.lane, drawing)
            if self._drawings:
                return True
            self._joined.clear()
            self._drawing = False
            return False

    def _drop_stopped(self) -> None:
        for drawing in list(self._drawings):
            try:
                drawing.check()
            except BaseException as error:
                self._end(drawing, error)

    def _step(self, lane: Lane[_Entry], entries: list[_Entry]) -> None:
        """One step of these rows: first those that compute everything, then those that do not."""
        started = time.perf_counter()
        for whole in (True, False):
            group = [entry for entry in entries if entry.row.whole is whole]
            if group:
                self._draw(lane, group, whole)
        self._pace.step_done()
        self._rows.charge(lane, time.perf_counter() - started)
        for entry in entries:
            if entry.row.finished:
                self._rows.finish(entry)
        for drawing in _drawings_of(entries):
            if drawing not in self._drawings:
                continue  # it failed in this step
            drawing.accompanied(sum(entry.drawing is not drawing for entry in entries))
            try:
                drawing.tell()
            except Exception as error:
                self._end(drawing, error)
                continue
            if drawing.finished:
                self._end(drawing, None)

    def _draw(self, lane: Lane[_Entry], entries: Sequence[_Entry], whole: bool) -> None:
        """Predict and advance; in halves where that fails."""
        rows = [entry.row for entry in entries]
        started = time.perf_counter()
        try:
            denoiser = self._denoiser()
            predictions = denoiser.predict(rows, self._conditions(denoiser, entries, whole))
        except Exception as error:
            self._split(lane, entries, whole, error)
            return
        seconds = time.perf_counter() - started
        batch = denoiser.evaluations(rows)
        for entry in entries:
            entry.drawing.took(entry.row.branches, batch, seconds, whole)
        for entry, prediction in zip(entries, predictions, strict=True):
            if entry.drawing in self._drawings:
                self._advance(entry, prediction)

    def _advance(self, entry: _Entry, prediction: Tensor) -> None:
        drawing, row = entry.drawing, entry.row
        try:
            if row is drawing.rows[0] and drawing.wants_preview:
                drawing.preview(foreseen(row, prediction))
            advance(row, prediction)
            if row.finished and not bool(row.latents.isfinite().all()):
                raise DrawingFailed(
                    "the drawing is not made of finite numbers: ask for less guidance, or load the "
                    "bundle with precision fp32"
                )
        except Exception as error:
            self._end(drawing, error)

    def _split(
        self, lane: Lane[_Entry], entries: Sequence[_Entry], whole: bool, error: Exception
    ) -> None:
        for drawing in _drawings_of(entries):
            drawing.splits += 1
        if isinstance(error, torch.OutOfMemoryError):
            self._rows.lower(lane, len(entries))
            self._pace.free_memory()
        if len(entries) == 1:
            self._end(entries[0].drawing, error)
            return
        half = (len(entries) + 1) // 2
        for part in (entries[:half], entries[half:]):
            if left := [entry for entry in part if entry.drawing in self._drawings]:
                self._draw(lane, left, whole)

    def _conditions(
        self, denoiser: RowDenoiser, entries: Sequence[_Entry], whole: bool
    ) -> RowConditions:
        """Those of a batch, joined again only when its rows or their guidance have changed."""
        key = (whole, *((entry.number, entry.row.guided) for entry in entries))
        found = self._joined.pop(key, None)
        if found is None:
            rows = [entry.row for entry in entries]
            found = denoiser.batch(rows, [entry.drawing.conditioning for entry in entries])
        while len(self._joined) >= _MOST_JOINED:
            del self._joined[next(iter(self._joined))]
        self._joined[key] = found
        return found

    def _end(self, drawing: Drawing, error: BaseException | None) -> None:
        self._rows.leave(drawing)
        self._drawings.pop(drawing, None)
        drawing.leaves()
        drawing.done(error)


class _Pace:
    """Keeps a GPU at most one step behind, so that who joins need not wait for what was queued."""

    _cuda: Any = torch.cuda  # half of it is not typed

    def __init__(self) -> None:
        self._before: Any = None  # the event at the end of a step

    def step_done(self) -> None:
        if not self._cuda.is_initialized():
            return
        now = self._cuda.Event()
        now.record()
        if self._before is not None:
            self._before.synchronize()
        self._before = now

    def free_memory(self) -> None:
        if self._cuda.is_initialized():
            self._cuda.empty_cache()


def _drawings_of(entries: Sequence[_Entry]) -> tuple[Drawing, ...]:
    return tuple(dict.fromkeys(entry.drawing for entry in entries))
