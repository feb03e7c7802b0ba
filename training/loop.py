"""The one training loop: every recipe of the bundle is trained by `train`.

A recipe says what the model, the batches and the loss are; the loop owns the optimiser, the moving
average, the schedule over a budget of minutes or steps, bf16, checkpoints and the report. A run
that is killed loses at most `checkpoint_seconds` and then goes on exactly where its checkpoint
stood: same batches, same noise, same weights.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .optimiser import Muon, is_matrix
from .progress import Progress, Report, Reporter

CHECKPOINT_NAME = "checkpoint.pt"
FIGURES_NAME = "figures.jsonl"
FINAL_LEARNING_RATE = 0.01  # of the peak, where the cosine ends


class TrainingDiverged(ValueError):
    """The loss stopped being a number for many steps in a row."""


@dataclass(frozen=True)
class Schedule:
    """How a recipe is optimised. AdamW; weight decay touches matrices and kernels, never biases and
    norms.
    """

    learning_rate: float
    batch_size: int
    warmup_steps: int = 100
    weight_decay: float = 0.01
    ema_decay: float = 0.999
    betas: tuple[float, float] = (0.9, 0.99)
    bf16: bool = True
    channels_last: bool = False
    seed: int = 0
    clip_norm: float = 1.0
    orthogonal: bool = False  # Muon for the matrices, AdamW for the rest


class Recipe(Protocol):
    """What is particular to one model. `evaluate` sees the moving average, in eval mode, without
    gradients.
    """

    @property
    def name(self) -> str: ...

    @property
    def schedule(self) -> Schedule: ...

    def build(self) -> nn.Module:
        """The model with fresh weights; everything trainable is inside it, a margin's class weights
        too.
        """
        ...

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """One batch on the CPU; the loop moves it. All its randomness comes from `rng`."""
        ...

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Scalar loss and figures for the report; `progress` runs from 0 to 1 over the budget."""
        ...

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Figures on held-out people."""
        ...


@dataclass(frozen=True)
class Trained:
    """A finished run: the moving average in eval mode, on the CPU, and its held-out figures."""

    model: nn.Module
    figures: dict[str, float]


def learning_rate_at(schedule: Schedule, step: int, progress: float) -> float:
    """Linear warm-up by steps, then a cosine over the budget down to one per cent."""
    warmup = min(1.0, (step + 1) / max(1, schedule.warmup_steps))
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    floor = FINAL_LEARNING_RATE
    return schedule.learning_rate * warmup * (floor + (1.0 - floor) * cosine)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a neighbour, then rename: a reader sees the old file or the new one, never
    half of one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _optimizers(model: nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if schedule.orthogonal and is_matrix(name, p)]
    taken = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in taken]
    groups = [
        {
            "params": [p for p in others if p.ndim >= 2],
            "weight_decay": schedule.weight_decay,
        },
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=schedule.betas, fused=True)
    if not matrices:
        return [adam]
    return [adam, Muon(matrices, schedule.learning_rate, weight_decay=schedule.weight_decay)]


def _quick_attention(device: torch.device) -> AbstractContextManager[object]:
    """On a CPU the fused kernel's backward pass takes longer than all convolutions together."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


class _Run:
    """The state of one training, as it is saved and restored."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        schedule = recipe.schedule
        self.schedule = schedule
        self.device = device
        torch.manual_seed(schedule.seed)
        self.rng = np.random.default_rng(schedule.seed)
        self.model = recipe.build().to(device)
        if schedule.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizers = _optimizers(self.model, schedule)
        self.step = 0
        self.seconds = 0.0
        self.skipped_in_a_row = 0
        self.figures: dict[str, float] = {}

    def progress(self, minutes: float | None, steps: int | None) -> float:
        fractions = [self.seconds / (minutes * 60)] if minutes else []
        fractions += [self.step / steps] if steps else []
        return min(1.0, max(fractions))

    def advance(self, recipe: Recipe, progress: float) -> dict[str, float]:
        """One optimiser step."""
        schedule = self.schedule
        rate = learning_rate_at(schedule, self.step, progress)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        batch = {name: self._place(value) for name, value in recipe.batch(self.rng).items()}
        with (
            torch.autocast(self.device.type, torch.bfloat16, enabled=schedule.bf16),
            _quick_attention(self.device),
        ):
            loss, figures = recipe.loss(self.model, batch, progress)
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, schedule.clip_norm)
        if math.isfinite(float(norm)):
            for optimizer in self.optimizers:
                optimizer.step()
            self._follow()
            self.skipped_in_a_row = 0
        else:  # one bad batch must not poison the moments
            self.skipped_in_a_row += 1
            if self.skipped_in_a_row >= 20:
                raise TrainingDiverged(
                    f"{recipe.name}: no finite gradient for 20 steps; lower the learning rate"
                )
        self.step += 1
        return {"loss": float(loss.detach()), **figures}

    def _place(self, value: Tensor) -> Tensor:
        value = value.to(self.device, non_blocking=True)
        if self.schedule.channels_last and value.ndim == 4 and value.is_floating_point():
            value = value.contiguous(memory_format=torch.channels_last)
        return value

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the moving average follow, quickly at first (Adam's own bias correction, as
        k-diffusion does).
        """
        decay = min(self.schedule.ema_decay, (1 + self.step) / (10 + self.step))
        mine = [p.detach() for p in self.model.parameters()]
        average: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(average, mine, 1.0 - decay)
        for target, source in zip(self.average.buffers(), self.model.buffers(), strict=True):
            target.copy_(source)

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rng": json.dumps(self.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
            "figures": self.figures,
        }
        if self.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        write_atomically(path, lambda temporary: torch.save(state, temporary))

    def load(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.rng.bit_generator.state = json.loads(state["rng"])
        torch.set_rng_state(state["torch_rng"])
        if self.device.type == "cuda" and "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)
        self.step = int(state["step"])
        self.seconds = float(state["seconds"])
        self.figures = dict(state["figures"])


def train(
    recipe: Recipe,
    run_dir: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    device: str = "cpu",
    threads: int | None = None,
    checkpoint_seconds: float = 60,
    evaluate_seconds: float = 300,
    report: Report | None = None,
) -> Trained:
    """Train until the budget is spent, going on from `run_dir`'s checkpoint where there is one.

    Budget: `minutes` of training time (kept over resumes), `steps`, or whichever ends first. A run
    whose budget is already spent is only loaded; a larger budget than before goes on with the
    schedule of the larger one. Resuming is exact under a budget of steps on one device and number
    of threads. Writes checkpoint.pt and figures.jsonl (one JSON object per report) into `run_dir`.
    Raises ValueError without a budget, TrainingDiverged.
    """
    if not minutes and not steps:
        raise ValueError("training needs a budget: give minutes, steps or both")
    if threads is not None:
        torch.set_num_threads(threads)
    run_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = run_dir / CHECKPOINT_NAME
    run = _Run(recipe, torch.device(device))
    if checkpoint.exists():
        run.load(checkpoint)
    with Reporter(run_dir / FIGURES_NAME, report) as reporter:
        _spend(
            recipe, run, minutes, steps, checkpoint, checkpoint_seconds, evaluate_seconds, reporter
        )
    return Trained(run.average.cpu().eval(), run.figures)


def _spend(
    recipe: Recipe,
    run: _Run,
    minutes: float | None,
    steps: int | None,
    checkpoint: Path,
    checkpoint_seconds: float,
    evaluate_seconds: float,
    reporter: Reporter,
) -> None:
    saved = evaluated = run.seconds
    trained = False
    while (progress := run.progress(minutes, steps)) < 1.0:
        started = time.perf_counter()
        run.model.train()
        figures = run.advance(recipe, progress)
        trained = True
        run.seconds += time.perf_counter() - started
        reporter.step(
            Progress(recipe.name, run.step, run.seconds, progress, figures=figures),
            recipe.schedule.batch_size,
        )
        if run.seconds - saved >= checkpoint_seconds:
            run.save(checkpoint)
            saved = run.seconds
        if run.seconds - evaluated >= evaluate_seconds:
            held_out = _evaluate(recipe, run)
            reporter.held_out(
                Progress(recipe.name, run.step, run.seconds, progress, figures=held_out)
            )
            evaluated = run.seconds
    if trained or not run.figures:
        run.figures = _evaluate(recipe, run)
        reporter.held_out(Progress(recipe.name, run.step, run.seconds, 1.0, figures=run.figures))
        run.save(checkpoint)


def _evaluate(recipe: Recipe, run: _Run) -> dict[str, float]:
    """Held-out figures; evaluating must not move the training's random numbers."""
    state = torch.get_rng_state()
    started = time.perf_counter()
    with (
        torch.no_grad(),
        torch.autocast(run.device.type, torch.bfloat16, enabled=run.schedule.bf16),
    ):
        figures = recipe.evaluate(run.average.eval())
    run.seconds += time.perf_counter() - started
    torch.set_rng_state(state)
    return figures
