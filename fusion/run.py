"""One request on its way: from its ground through the loop to verified pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fusion.account import Candidate, account_of
from fusion.backends import ToDraw
from fusion.drawing import Drawing, DrawingSpent
from fusion.gate import Attempt, attempts
from fusion.ground import lay_ground, settled_steps
from fusion.memory import memory_share, resident_bytes
from fusion.pressure import Load, PressurePolicy, relieve
from fusion.progress import Event, EventKind, Handle
from fusion.request import FusionRequest
from fusion.resolved import ResolvedRequest
from fusion.result import FusionResult
from fusion.sampler import Row
from fusion.shared import Shared
from fusion.stages.compose import compose
from fusion.stages.decode import decode
from fusion.stages.prepare import prepare_row
from fusion.stages.verify import Verified, verify
from fusion.trace import Notes, Stage
from fusion.visits import Visits
from fusion.worker import Worker


class Run:
    """Draws one request: `prepare`, then for each attempt the loop and `finish`, then `result`.

    Its methods may be called by different threads, one after the other. `close` ends it, whatever
    became of it.
    """

    def __init__(
        self, request: FusionRequest, resolved: ResolvedRequest, handle: Handle, shared: Shared
    ) -> None:
        self.request = request
        self.resolved = resolved
        self.handle = handle
        self.shared = shared
        self.visits = Visits(handle, shared.settings.recovery)
        self.warnings: list[str] = list(shared.source.warnings)
        self._leases = ExitStack()
        self._spent: list[DrawingSpent] = []
        self._drawn: Drawing | None = None  # what the loop has of it, until that is recorded
        self._best: dict[int, Candidate] = {}
        self._tried = [0] * resolved.count
        self._pending = list(range(resolved.count))
        self._connections = shared.connections.count

    @torch.inference_mode()
    def prepare(
        self,
        done: Callable[[BaseException | None], None],
        pressure: PressurePolicy,
        queue_share: Callable[[], float],
        elsewhere: Worker,
    ) -> Drawing:
        """The first attempt's drawing. done: told when the loop lets go of one; elsewhere: where
        previews are decoded. pressure: decides how much of the request there is room for.

        Raises FusionCancelled, and whatever the stages raise.
        """
        self._done, self._elsewhere = done, elsewhere
        self.ground = lay_ground(
            self.request, self.resolved, self.shared, self.visits, self._leases
        )
        notes = Notes()
        resolved = settled_steps(self.resolved, self.ground, self.shared.settings, notes)
        if resolved.mode == "fast":
            notes.decided("mode: fast, so most steps take over the deep features of one before")
        load = Load(memory_share(self.ground.drawer.device), queue_share())
        relief = relieve(resolved, pressure.look(load), load, pressure.settings)
        for downgrade in relief.downgrades:
            notes.downgraded(downgrade)
        self.resolved = relief.request
        growth = self.shared.settings.retry_scale_growth
        self._attempts: Iterator[Attempt] = iter(attempts(self.resolved, growth))
        return self._drawing(next(self._attempts), notes)

    @torch.inference_mode()
    def finish(self) -> Drawing | None:
        """After the loop: the next attempt's drawing, or None where the result is ready.

        Raises FusionCancelled, and whatever the stages raise.
        """
        drawn = self._candidates()
        for index, candidate in zip(self._pending, drawn, strict=True):
            if index not in self._best or candidate.score > self._best[index].score:
                self._best[index] = candidate
        least = self.resolved.min_identity
        # Without a look at it nobody knows whether another would be better.
        seen = all(candidate.look is not None for candidate in drawn)
        again = [index for index in self._pending if seen and self._best[index].score < least]
        self._pending = again
        attempt = next(self._attempts, None) if self._pending else None
        if attempt is None:
            return None
        notes = Notes()
        notes.decided(
            f"identity gate: {len(self._pending)} below {least:.2f}, attempt {attempt.number} "
            f"with seed {attempt.seed(self._pending[0])} and identity scale "
            f"{attempt.identity_scale:.2f}"
        )
        return self._drawing(attempt, notes)

    def result(self) -> FusionResult:
        """What was drawn, and what it cost; once `finish` has given None."""
        return account_of(
            [self._best[index] for index in range(self.resolved.count)],
            self._tried,
            resolved=self.resolved,
            ground=self.ground,
            spent=self._spent,
            warnings=self.warnings,
            task=self.handle.task,
            trace=self.visits.trace,
            source=self.shared.source,
            connections=self.shared.connections.count - self._connections,
        )

    def close(self) -> None:
        """Let go of what was kept for the drawing, tensors on a device among it. A drawing that
        did not come to its end is recorded.
        """
        if self._drawn is not None:
            self._recorded()
        self._leases.close()
        for name in ("ground", "_done", "_best"):
            self.__dict__.pop(name, None)

    def _drawing(self, attempt: Attempt, said: Notes) -> Drawing:
        """The rows of an attempt at the pictures that are still wanted. said: what was decided."""
        resolved, drawer = self.resolved, self.ground.drawer
        self._attempt = attempt
        self.visits.attempt = attempt.number
        for index in self._pending:
            self._tried[index] += 1
        width, height = resolved.size
        conditioning = self.ground.conditioned.conditioning.scaled(attempt.identity_scale)
        conditioning = conditioning.sized(resolved.size)

        def prepared(notes: Notes) -> tuple[Row, ...]:
            notes.extend(said)
            rows = tuple(
                prepare_row(
                    resolved,
                    drawer.scheduler,
                    seed=attempt.seed(index),
                    shape=(drawer.channels, height // drawer.factor, width // drawer.factor),
                    device=drawer.device,
                    dtype=drawer.dtype,
                    anchor=self.ground.anchor,
                    fast=self.shared.settings.fast,
                )
                for index in self._pending
            )
            for told in drawer.told:
                notes.decided(told)
            drawer.backend.tell(
                notes,
                ToDraw(
                    denoiser=drawer.denoiser.given,
                    vae=None if drawer.upcasts else drawer.vae,
                    latents=rows[0].latents,
                    conditions=conditioning.positive,
                    fast=resolved.mode == "fast",
                    changed=drawer.changed,
                ),
            )
            return rows

        rows = self.visits.run(Stage.PREPARE, prepared)
        self.visits.begin(Stage.DENOISE)
        self._held_bytes = resident_bytes()
        self._drawn = drawing = Drawing(
            rows=rows,
            conditioning=conditioning,
            check=self.handle.check,
            on_step=self._on_step,
            done=self._done,
            previews=resolved.previews,
            on_preview=partial(self._on_preview, rows[0].steps),
        )
        return drawing

    def _candidates(self) -> list[Candidate]:
        """The pictures the loop has drawn."""
        ground, drawn = self.ground, self._recorded()
        pictures = self.visits.run(
            Stage.DECODE, lambda notes: [self._decode(one, notes) for one in drawn.latents]
        )
        if (canvas := ground.canvas) is not None:
            heads, colour = pictures, self.shared.settings.colour
            pictures = self.visits.run(
                Stage.COMPOSE, lambda notes: [compose(one, canvas, colour) for one in heads]
            )
        looks = self._look(pictures)
        return [
            Candidate(pixels, row.seed, self._attempt, look)
            for pixels, row, look in zip(pictures, drawn.rows, looks, strict=True)
        ]

    def _decode(self, latents: Tensor, notes: Notes | None = None) -> NDArray[np.uint8]:
        drawer = self.ground.drawer
        runner = None if drawer.upcasts else drawer.backend.decoder(drawer.vae, latents)
        return decode(drawer.vae, latents, notes, upcasts=drawer.upcasts, runner=runner)

    def _recorded(self) -> Drawing:
        """The drawing that has left the loop, with what it took in the trace."""
        drawn, self._drawn = self._drawn, None
        assert drawn is not None
        spent = drawn.spent
        self._spent.append(spent)
        self.handle.took(spent)
        notes = Notes()
        if spent.mates > 0:
            notes.decided(f"batch: {spent.mates:.1f} pictures of others at a step, on average")
        if spent.splits:
            notes.decided(f"batch: drawn in smaller parts {spent.splits} times, as it failed whole")
        held = resident_bytes() - self._held_bytes
        self.visits.end(Stage.DENOISE, spent.seconds, held, notes, spent.cpu_seconds)
        return drawn

    def _look(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Verified | None]:
        ground, analyser = self.ground, self.shared.source.analyser
        wish = ground.wish
        if not self.resolved.verify or analyser is None or wish is None:
            return [None] * len(pictures)
        near = None if ground.analysed.target is None else ground.analysed.target.box

        def verified(notes: Notes) -> list[Verified | None]:
            looks = [verify(picture, wish, analyser, near) for picture in pictures]
            measured = ", ".join(f"{look.wished:.3f}" for look in looks)
            notes.decided(f"identity: {measured} to the wished face")
            return list(looks)

        return self.visits.run(Stage.VERIFY, verified, lambda: [None] * len(pictures))

    def _on_step(self, done: int, steps: int) -> None:
        number, task_id = self._attempt.number, self.handle.task.id
        self.handle.emit(Event(task_id, EventKind.STEP, Stage.DENOISE, done, steps, number))

    def _on_preview(self, steps: int, step: int, latents: Tensor) -> None:
        """Elsewhere than in the loop: to decode takes as long as a step."""
        self._elsewhere.put(partial(self._preview, step, steps, latents))

    def _preview(self, step: int, steps: int, latents: Tensor) -> None:
        if self.handle.done() or self.handle.cancel_requested:
            return
        try:
            with torch.inference_mode():
                image = Image.fromarray(self._decode(latents))
        except Exception as error:  # the picture itself may still become good
            self.warnings.append(f"the preview of step {step} failed: {type(error).__name__}")
            return
        number, task_id = self._attempt.number, self.handle.task.id
        self.handle.emit(
            Event(task_id, EventKind.PREVIEW, Stage.DENOISE, step, steps, number, image=image)
        )
