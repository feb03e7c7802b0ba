"""The sampler: plain functions over diffusers' schedulers, one row per picture.

Every row has its own scheduler, timesteps, noise and position, so that rows of different requests
can share one batch of the denoiser (the batch is `denoiser.py`'s business, not the sampler's).
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from fusion.fast import EXACT, FastSettings
from models import SchedulerName

Scheduler = Any  # diffusers has no common type with set_timesteps, step and add_noise

SCHEDULERS: Final[dict[SchedulerName, Scheduler]] = {
    "ddim": DDIMScheduler,
    "dpm++2m": DPMSolverMultistepScheduler,
    "euler": EulerDiscreteScheduler,
    "unipc": UniPCMultistepScheduler,
}


@dataclass(frozen=True)
class Anchor:
    """What must not change: latents [1, c, h, w] of the target, and where they may be drawn over.

    free: float [1, 1, h, w], 1 where the picture is drawn anew, 0 where the target stays.
    """

    latents: Tensor
    free: Tensor


@dataclass
class Row:
    """One picture while it is drawn; `advance` moves it on.

    latents: [1, channels, height, width] at the noise level of `timesteps[position]`. timesteps:
    on the CPU, where the scheduler reads them. guidance_interval: from which share of the drawing
    to which it is guided (arXiv:2404.07724). deep: features of an earlier step, the negative
    branch's first where there is one; None where every step computes them.
    """

    seed: int
    guidance_scale: float
    scheduler: Scheduler
    timesteps: Tensor
    latents: Tensor
    noise: Tensor
    anchor: Anchor | None
    options: dict[str, object] = field(default_factory=dict)
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    fast: FastSettings = EXACT
    deep: Tensor | None = None
    position: int = 0

    @property
    def finished(self) -> bool:
        """Whether the latents are the picture's."""
        return self.position >= len(self.timesteps)

    @property
    def timestep(self) -> Tensor:
        """The timestep the denoiser is asked about next, a scalar."""
        return self.timesteps[self.position]

    @property
    def steps(self) -> int:
        """How many steps the drawing takes."""
        return len(self.timesteps)

    @property
    def guided(self) -> bool:
        """Whether the next step needs the negative branch; guidance up to 1 is off, as in
        diffusers.
        """
        start, end = self.guidance_interval
        share = self.position / self.steps
        return self.guidance_scale > 1 and start <= share < min(end, self.fast.guided_until)

    @property
    def branches(self) -> int:
        """How many pictures go through the denoiser for the next step."""
        return 2 if self.guided else 1

    @property
    def whole(self) -> bool:
        """Whether the next step computes everything; otherwise the outermost blocks only."""
        # A branch that comes back after a pause has no features to take over.
        kept = 0 if self.deep is None else len(self.deep)
        return kept < self.branches or self.fast.whole(self.position, self.steps)

    @property
    def reuses(self) -> bool:
        """Whether some step takes features over."""
        return self.fast.interval > 1


def scheduler_like(scheduler: Scheduler, name: SchedulerName | str) -> Scheduler:
    """A scheduler of its own for one row: the bundle's, or another over the same noise schedule."""
    if name in SCHEDULERS:
        return SCHEDULERS[name].from_config(scheduler.config)
    return copy.deepcopy(scheduler)


def start_row(
    scheduler: Scheduler,
    *,
    shape: tuple[int, int, int],
    steps: int,
    seed: int,
    guidance_scale: float,
    device: torch.device,
    dtype: torch.dtype,
    strength: float = 1.0,
    eta: float = 0.0,
    anchor: Anchor | None = None,
    guidance_interval: tuple[float, float] = (0.0, 1.0),
    fast: FastSettings = EXACT,
) -> Row:
    """A row at its first noise level. shape: (channels, height, width) of the latents.

    Noise is drawn on the CPU from the row's own seed, so that a picture is the same on any device.
    strength: with an anchor, the share of the steps that is done; the others are skipped.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    scheduler.set_timesteps(steps, device="cpu")  # read at every step: a GPU would be waited for
    order = int(getattr(scheduler, "order", 1))
    skipped = steps - max(1, min(int(steps * strength), steps)) if anchor is not None else 0
    timesteps = scheduler.timesteps[skipped * order :]
    noise = randn_tensor((1, *shape), generator=generator, device=device, dtype=dtype)
    if anchor is not None and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped * order)
    if anchor is None or skipped == 0:
        latents = noise * scheduler.init_noise_sigma
    else:
        latents = scheduler.add_noise(anchor.latents, noise, timesteps[:1])
    return Row(
        seed=seed,
        guidance_scale=guidance_scale,
        scheduler=scheduler,
        timesteps=timesteps,
        latents=latents,
        noise=noise,
        anchor=anchor,
        options=_step_options(scheduler, eta, generator),
        guidance_interval=guidance_interval,
        fast=fast,
    )


def scaled_latents(row: Row) -> Tensor:
    """The row's latents as the denoiser wants them at its noise level."""
    if not hasattr(row.scheduler, "scale_model_input"):
        return row.latents
    scaled: Tensor = row.scheduler.scale_model_input(row.latents, row.timestep)
    return scaled


def guided(negative: Tensor, positive: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (arXiv:2207.12598), in the form diffusers computes it."""
    return negative + scale * (positive - negative)


def advance(row: Row, prediction: Tensor) -> None:
    """Take one step with the denoiser's (guided) prediction; the target stays where it must."""
    row.latents = row.scheduler.step(
        prediction, row.timestep, row.latents, **row.options, return_dict=False
    )[0]
    row.position += 1
    if row.anchor is not None:
        kept = _anchor_now(row, row.anchor)
        row.latents = row.anchor.free * row.latents + (1 - row.anchor.free) * kept


def foreseen(row: Row, prediction: Tensor) -> Tensor:
    """The latents [1, channels, height, width] a row is heading for, as `prediction` has them.

    To look at, not to go on from: the noise level is the training schedule's nearest one.
    """
    kind = str(row.scheduler.config.prediction_type)
    shares = row.scheduler.alphas_cumprod
    kept = shares[row.timestep.round().long().clamp(0, len(shares) - 1).cpu()]
    signal, noise = float(kept) ** 0.5, float(1 - kept) ** 0.5
    latents = scaled_latents(row)
    if kind == "v_prediction":
        prediction = signal * latents - noise * prediction
    elif kind == "epsilon":
        prediction = (latents - noise * prediction) / signal
    return prediction


def _anchor_now(row: Row, anchor: Anchor) -> Tensor:
    """The target's latents at the noise level the row has reached."""
    if row.finished:
        return anchor.latents
    noisy: Tensor = row.scheduler.add_noise(anchor.latents, row.noise, row.timestep[None])
    return noisy


def _step_options(
    scheduler: Scheduler, eta: float, generator: torch.Generator
) -> dict[str, object]:
    """What this scheduler's step takes besides the usual: not all know η, or draw noise."""
    known = inspect.signature(scheduler.step).parameters
    options: dict[str, object] = {"eta": eta, "generator": generator}
    return {name: value for name, value in options.items() if name in known}
