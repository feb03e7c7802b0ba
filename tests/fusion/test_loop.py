"""The loop: what happens to one drawing is nobody else's business."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import Tensor

from fusion import DrawingFailed, FastSettings, FusionCancelled
from fusion.conditioning import Conditioning
from fusion.denoiser import RowDenoiser
from fusion.drawing import Drawing
from fusion.loop import StepLoop
from fusion.sampler import Row, start_row
from models import KeyValues, RowConditions
from tests.fusion.conftest import conditioning_of, drawn

CPU = torch.device("cpu")
STEPS = 6


class Watched:
    """Drawings that enter one loop together, and what becomes of each."""

    def __init__(self, pipe: StableDiffusionPipeline, largest_batch: int = 8) -> None:
        self.pipe = pipe
        self.denoiser = RowDenoiser(pipe.unet)
        self.loop = StepLoop(lambda: self.denoiser, largest_batch)
        self.drawings: list[Drawing] = []
        self.ended: Queue[tuple[int, BaseException | None]] = Queue()

    def row(self, seed: int, steps: int = STEPS, side: int = 16, scale: float = 2.0) -> Row:
        return start_row(
            DDIMScheduler.from_config(self.pipe.scheduler.config), shape=(4, side, side),
            steps=steps, seed=seed, guidance_scale=scale, device=CPU, dtype=torch.float32,
        )  # fmt: skip

    def add(
        self,
        row: Row,
        conditioning: Conditioning | None = None,
        check: Callable[[], None] = lambda: None,
        on_step: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        number = len(self.drawings)
        given = conditioning or conditioning_of(self.pipe, f"hat {row.seed}", row.seed)
        self.drawings.append(
            Drawing((row,), given, check, on_step, lambda error: self.ended.put((number, error)))
        )

    def run(self) -> dict[int, BaseException | None]:
        self.loop.admit(*self.drawings)
        self.loop.join()
        return dict(self.ended.get_nowait() for _ in self.drawings)

    def latents(self, index: int) -> Tensor:
        return self.drawings[index].latents[0]

    def alone(self, index: int) -> Tensor:
        """What the drawing would be by itself."""
        drawing = self.drawings[index]
        row = self.row(drawing.rows[0].seed, drawing.steps, drawing.rows[0].latents.shape[-1])
        return drawn(self.denoiser, [row], drawing.conditioning)[0]


def poisoned(conditioning: Conditioning) -> Conditioning:
    """The same words and face, by numbers that are none."""
    given = conditioning.positive
    broken = KeyValues(torch.full_like(given.text.packed, float("nan")))
    return Conditioning(
        RowConditions(broken, given.identity, given.identity_scales), conditioning.negative
    )


@pytest.fixture
def watched(faceid_pipe: StableDiffusionPipeline) -> Watched:
    return Watched(faceid_pipe)


class TestSharing:
    def test_drawings_of_other_words_faces_scales_and_steps_are_as_if_alone(
        self, watched: Watched
    ) -> None:
        for seed, steps in enumerate((6, 3, 9, 1)):
            watched.add(watched.row(seed, steps))
        assert set(watched.run().values()) == {None}
        for index in range(4):
            assert torch.allclose(watched.latents(index), watched.alone(index), atol=1e-4)
        mates = [drawing.spent.mates for drawing in watched.drawings]
        assert mates == [(3 + 2 + 2 + 1 + 1 + 1) / 6, (3 + 2 + 2) / 3, 10 / 9, 3.0]

    def test_sizes_share_the_loop_and_not_a_batch(self, watched: Watched) -> None:
        for seed, side in enumerate((16, 24, 16)):
            watched.add(watched.row(seed, side=side))
        assert set(watched.run().values()) == {None}
        assert [drawing.spent.mates for drawing in watched.drawings] == [1.0, 0.0, 1.0]
        for index in range(3):
            assert torch.allclose(watched.latents(index), watched.alone(index), atol=1e-4)

    def test_more_rows_than_a_batch_holds_are_drawn_in_turn(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        watched = Watched(faceid_pipe, largest_batch=2)
        for seed in range(5):
            watched.add(watched.row(seed))
        assert list(watched.run()) == [0, 1, 2, 3, 4], "who came first is finished first"
        assert max(drawing.spent.mates for drawing in watched.drawings) == 1.0

    def test_the_steps_time_is_shared_by_branches(self, watched: Watched) -> None:
        watched.add(watched.row(0))
        watched.add(watched.row(1, scale=1.0))
        watched.run()
        guided, plain = (drawing.spent for drawing in watched.drawings)
        assert (guided.evaluations, plain.evaluations) == (2 * STEPS, STEPS)
        assert guided.busy_seconds == pytest.approx(2 * plain.busy_seconds)
        assert guided.busy_seconds + plain.busy_seconds <= guided.seconds


class TestIsolation:
    def test_numbers_that_are_none_stay_with_their_own(self, watched: Watched) -> None:
        """Bit for bit what the mates are beside a good row: the batches have the same shape."""
        good = Watched(watched.pipe)
        for seed in range(3):
            watched.add(watched.row(seed))
            good.add(good.row(seed))
        watched.drawings[1].conditioning = poisoned(watched.drawings[1].conditioning)
        ended = watched.run()
        assert isinstance(ended[1], DrawingFailed)
        assert (ended[0], ended[2]) == (None, None)
        good.run()
        for index in (0, 2):
            assert torch.equal(watched.latents(index), good.latents(index))

    def test_one_that_is_cancelled_leaves_before_the_next_step(self, watched: Watched) -> None:
        steps: list[int] = []

        def check() -> None:
            if steps == [1, 2]:
                raise FusionCancelled("enough")

        for seed in range(3):
            told = (lambda done, _: steps.append(done)) if seed == 1 else (lambda *_: None)
            watched.add(watched.row(seed), check=check if seed == 1 else lambda: None, on_step=told)
        ended = watched.run()
        assert isinstance(ended[1], FusionCancelled)
        assert steps == [1, 2]
        assert watched.drawings[1].rows[0].position == 2
        for index in (0, 2):
            assert ended[index] is None
            assert torch.allclose(watched.latents(index), watched.alone(index), atol=1e-4)

    def test_a_device_too_small_for_the_batch_draws_it_in_parts(self, watched: Watched) -> None:
        largest = 0

        def allocate(_: object, inputs: tuple[Tensor, ...]) -> None:
            nonlocal largest
            if len(inputs[0]) > 4:  # two guided rows
                raise torch.OutOfMemoryError("CUDA out of memory")
            largest = max(largest, len(inputs[0]))

        for seed in range(5):
            watched.add(watched.row(seed))
        hook = watched.pipe.unet.conv_in.register_forward_pre_hook(allocate)
        try:
            ended = watched.run()
        finally:
            hook.remove()
        assert set(ended.values()) == {None}
        assert largest == 4
        assert watched.drawings[0].splits == 2, "in the first step, and not again in each"
        for index in range(5):
            assert torch.allclose(watched.latents(index), watched.alone(index), atol=1e-4)

    def test_what_a_batch_without_memory_had_allocated_is_free_when_its_parts_are_drawn(
        self, watched: Watched
    ) -> None:
        """The failure's own traceback held it, so that the parts found no memory either."""
        held: list[weakref.ref[Tensor]] = []
        alive: list[bool] = []

        def allocate(_: object, inputs: tuple[Tensor, ...]) -> None:
            if len(inputs[0]) > 2:
                activation = torch.zeros(8)
                held.append(weakref.ref(activation))
                raise torch.OutOfMemoryError("CUDA out of memory")
            alive.extend(reference() is not None for reference in held)

        for seed in range(2):
            watched.add(watched.row(seed, 1))
        hook = watched.pipe.unet.conv_in.register_forward_pre_hook(allocate)
        try:
            ended = watched.run()
        finally:
            hook.remove()
        assert set(ended.values()) == {None}
        assert alive
        assert not any(alive)

    def test_one_that_finds_no_memory_even_alone_fails_alone(self, watched: Watched) -> None:
        def allocate(_: object, inputs: tuple[Tensor, ...]) -> None:
            if any(torch.equal(latents, culprit) for latents in inputs[0]):
                raise torch.OutOfMemoryError("CUDA out of memory")

        for seed in range(4):
            watched.add(watched.row(seed))
        culprit = watched.drawings[2].rows[0].latents[0].clone()
        hook = watched.pipe.unet.conv_in.register_forward_pre_hook(allocate)
        try:
            ended = watched.run()
        finally:
            hook.remove()
        assert isinstance(ended.pop(2), torch.OutOfMemoryError)
        assert set(ended.values()) == {None}
        for index in ended:
            assert torch.allclose(watched.latents(index), watched.alone(index), atol=1e-4)

    def test_a_scheduler_that_fails_fails_alone(self, watched: Watched) -> None:
        for seed in range(3):
            watched.add(watched.row(seed))
        scheduler: Any = watched.drawings[0].rows[0].scheduler
        scheduler.num_inference_steps = None  # diffusers: set_timesteps was not called
        ended = watched.run()
        assert isinstance(ended.pop(0), ValueError)
        assert set(ended.values()) == {None}

    def test_who_listens_badly_hurts_nobody_else(self, watched: Watched) -> None:
        def listen(*_: int) -> None:
            raise KeyError("a listener of its own")

        for seed in range(3):
            watched.add(watched.row(seed), on_step=listen if seed == 1 else lambda *_: None)
        ended = watched.run()
        assert isinstance(ended.pop(1), KeyError)
        assert set(ended.values()) == {None}


class TestFastRows:
    def test_a_row_takes_one_step_at_a_time(self, watched: Watched) -> None:
        """It took two where a whole one was followed by a shallow one, and told of every other."""
        steps: list[int] = []
        for seed in range(2):
            row = watched.row(seed, 12)
            row.fast = FastSettings()
            told = (lambda done, _: steps.append(done)) if seed == 0 else (lambda *_: None)
            watched.add(row, on_step=told)
        watched.run()
        assert steps == list(range(1, 13))

    def test_a_drawing_of_several_rows_in_other_phases_fails_once(self, watched: Watched) -> None:
        """It ended twice, and the engine hung: one row failed whole, and then another shallow."""
        rows = tuple(watched.row(seed, 12) for seed in range(4))
        for position, row in enumerate(rows):
            row.fast = FastSettings()
            row.position = position
        given = conditioning_of(watched.pipe, "hat", 1)
        ended: Queue[BaseException | None] = Queue()
        failing = Drawing(rows, given, lambda: None, lambda *_: None, ended.put)
        culprits = [row.latents[0].clone() for row in rows]
        hook = watched.pipe.unet.conv_in.register_forward_pre_hook(
            lambda _, inputs: _refuse(inputs[0], culprits)
        )
        watched.add(watched.row(9, 3))
        try:
            watched.loop.admit(failing, *watched.drawings)
            watched.loop.join()
        finally:
            hook.remove()
        assert isinstance(ended.get_nowait(), RuntimeError)
        assert ended.empty()
        assert watched.ended.get_nowait() == (0, None)


def _refuse(batch: Tensor, culprits: list[Tensor]) -> None:
    if any(torch.equal(latents, culprit) for latents in batch for culprit in culprits):
        raise RuntimeError("a fault of the device")


class TestConditions:
    def test_they_are_joined_when_the_rows_change_and_not_at_every_step(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        joined = []
        batch = RowDenoiser.batch

        def counted(self: RowDenoiser, rows: Any, given: Any) -> RowConditions:
            joined.append(len(rows))
            return batch(self, rows, given)

        monkeypatch.setattr(RowDenoiser, "batch", counted)
        for seed, steps in enumerate((8, 8, 5)):
            watched.add(watched.row(seed, steps))
        watched.run()
        assert joined == [3, 2]

    def test_nothing_of_a_drawing_is_kept_when_it_is_done(self, watched: Watched) -> None:
        watched.add(watched.row(0))
        watched.run()
        assert not watched.loop._joined
        assert not watched.loop._drawings
        assert len(watched.loop._rows) == 0
