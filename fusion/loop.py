"""The one denoising loop of an engine: rows of all active requests, a step at a time.

Requests join and leave between steps. Rows carry their own timestep, scheduler, guidance and
identity scale, so that they share a batch whatever was asked; what a batch is conditioned on is
joined when its rows change and not before.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Final

import torch
from torch import Tensor

from fusion.batching import Batcher, Lane
from fusion.denoiser import RowDenoiser
from fusion.drawing import Drawing
from fusion.energy import EnergyCounter, energy_counter, shared
from fusion.errors import DrawingFailed
from fusion.memory import free_device_memory, is_out_of_memory
from fusion.sampler import Row, advance, foreseen
from fusion.stopwatch import Stopwatch
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

    def __init__(
        self,
        denoiser: Callable[[], RowDenoiser],
        largest_batch: int,
        within: Callable[[], AbstractContextManager[None]] = nullcontext,
        energy_of: Callable[[torch.device], EnergyCounter | None] = energy_counter,
    ) -> None:
        """denoiser: called once there is something to draw. largest_batch: rows drawn together.
        within: what the thread's life is led in. energy_of: what counts a device's energy, if
        anything does.
        """
        self._denoiser = denoiser
        self._rows: Batcher[_Entry] = Batcher(largest_batch)
        self._drawings: dict[Drawing, None] = {}
        self._arriving: deque[Drawing] = deque()
        self._joined: dict[tuple[tuple[int, bool], ...], RowConditions] = {}
        self._numbers = count()
        self._stopwatch = Stopwatch(energy_of)
        self._worker = Worker("limner-engine", within)
        self._drawing = False
        self._lock = threading.Lock()
        self._count = 0  # of rows, as others may read it

    def admit(self, *drawings: Drawing) -> None:
        """Take up drawings before the next step. The `done` of each is told when it leaves, by the
        loop's own thread.
        """
        with self._lock:
            self._arriving.extend(drawings)
            if not self._drawing:
                self._worker.put(self._draw_all)
                self._drawing = True

    @property
    def rows(self) -> int:
        """How many are being drawn, or wait for their turn in here."""
        return self._count

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
            self._count = len(self._rows)
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
        """One step of these rows, or of those among them that take features over.

        These go first: after a step or two they compute everything as well, together with those
        that waited, instead of each in a smaller batch of its own.
        """
        if shallow := [entry for entry in entries if not entry.row.whole]:
            entries = shallow
        self._draw(lane, entries, whole=not shallow)
        for entry in entries:
            if entry.row.finished:
                self._rows.finish(entry)
        self._count = len(self._rows)
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
                self._stopwatch.settle()
                self._end(drawing, None)

    def _draw(self, lane: Lane[_Entry], entries: Sequence[_Entry], whole: bool) -> None:
        """Predict and advance rows of one kind; in halves where that fails."""
        entries = [entry for entry in entries if entry.drawing in self._drawings]
        if not entries:
            return
        rows = [entry.row for entry in entries]
        failure: Exception | None = None
        try:
            started = self._stopwatch.start(rows[0].latents.device)
            denoiser = self._denoiser()
            predictions = denoiser.predict(rows, self._conditions(denoiser, entries))
            self._stopwatch.stop(started, _Bill(self._rows, lane, entries))
        except Exception as error:
            failure = error
        if failure is not None:  # outside, where nothing holds what the failure had allocated
            self._split(lane, entries, whole, failure)
            return
        for entry in entries:
            entry.drawing.took(entry.row.branches, whole)
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
        if is_out_of_memory(error):
            error = error.with_traceback(None)  # its frames hold what was allocated
            error.__context__ = error.__cause__ = None
            self._rows.lower(lane, len(entries))
            free_device_memory()
        if len(entries) == 1:
            self._end(entries[0].drawing, error)
            return
        half = (len(entries) + 1) // 2
        self._draw(lane, entries[:half], whole)
        self._draw(lane, entries[half:], whole)

    def _conditions(self, denoiser: RowDenoiser, entries: Sequence[_Entry]) -> RowConditions:
        """Those of a batch, joined again only when its rows or their guidance have changed."""
        key = tuple((entry.number, entry.row.guided) for entry in entries)
        found = self._joined.pop(key, None)
        if found is None:
            rows = [entry.row for entry in entries]
            found = denoiser.batch(rows, [entry.drawing.conditioning for entry in entries])
        while len(self._joined) >= _MOST_JOINED:
            del self._joined[next(iter(self._joined))]
        self._joined[key] = found
        return found

    def _end(self, drawing: Drawing, error: BaseException | None) -> None:
        if drawing not in self._drawings:
            return  # a row of it has ended it before
        del self._drawings[drawing]
        self._rows.leave(drawing)
        self._count = len(self._rows)
        self._joined.clear()
        drawing.leaves()
        drawing.done(error)


class _Bill:
    """To whom a batch is charged: its time to its lane, time and energy to its drawings by their
    branches.
    """

    def __init__(
        self, batcher: Batcher[_Entry], lane: Lane[_Entry], entries: Sequence[_Entry]
    ) -> None:
        self._batcher, self._lane = batcher, lane
        self._branches = [(entry.drawing, entry.row.branches) for entry in entries]

    def __call__(self, seconds: float, millijoules: int | None) -> None:
        self._batcher.charge(self._lane, seconds)
        weights = [branches for _, branches in self._branches]
        for drawing, branches in self._branches:
            drawing.busy_seconds += seconds * branches / sum(weights)
        if millijoules is None:
            return
        parts = shared(millijoules, weights)
        for (drawing, _), part in zip(self._branches, parts, strict=True):
            drawing.energy_millijoules = (drawing.energy_millijoules or 0) + part


def _drawings_of(entries: Sequence[_Entry]) -> tuple[Drawing, ...]:
    return tuple(dict.fromkeys(entry.drawing for entry in entries))
