"""denoise: rows go from noise to latents, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from fusion.conditioning import Conditioning
from fusion.denoiser import RowDenoiser
from fusion.sampler import Row, advance

OnStep = Callable[[int, int], None]  # steps done, steps in all; may raise to stop


def denoise(
    rows: Sequence[Row],
    conditionings: Sequence[Conditioning],
    denoiser: RowDenoiser,
    on_step: OnStep,
    largest_batch: int,
) -> tuple[tuple[Tensor, ...], int]:
    """The latents of each row, and how many pictures went through the denoiser.

    on_step is called before the first step and after each one; what it raises ends the drawing.
    largest_batch: rows drawn together at most; a row has the same steps as its mates.
    """
    evaluations = 0
    total = sum(len(rows[start].timesteps) for start in range(0, len(rows), largest_batch))
    done = 0
    on_step(done, total)
    for start in range(0, len(rows), largest_batch):
        batch = rows[start : start + largest_batch]
        conditions = denoiser.batch(batch, conditionings[start : start + largest_batch])
        while not batch[0].finished:
            predictions = denoiser.predict(batch, conditions)
            evaluations += denoiser.evaluations(batch)
            for row, prediction in zip(batch, predictions, strict=True):
                advance(row, prediction)
            done += 1
            on_step(done, total)
    return tuple(row.latents for row in rows), evaluations
