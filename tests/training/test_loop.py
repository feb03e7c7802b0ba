"""The loop: it learns, it resumes exactly, it keeps its budget."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.loop import (
    FIGURES_NAME,
    Schedule,
    TrainingDiverged,
    learning_rate_at,
    train,
)
from training.optimiser import is_matrix, orthogonalised
from training.progress import Progress

SCHEDULE = Schedule(learning_rate=0.01, batch_size=8, warmup_steps=2, bf16=False, ema_decay=0.9)


@dataclass(frozen=True)
class LineRecipe:
    """Find a matrix; dropout makes torch's own random numbers matter too."""

    schedule: Schedule = SCHEDULE
    poison: float = 0.0
    name: str = "line"

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(32, 32), nn.Dropout(0.1), nn.Linear(32, 32))

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        return {
            "x": torch.from_numpy(rng.standard_normal((self.schedule.batch_size, 32), np.float32))
        }

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        error = (model(batch["x"]) - batch["x"].flip(1)).square().mean()
        return (error * float("nan") if self.poison else error), {"progress": progress}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        x = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            return {"error": float((model(x) - x.flip(1)).square().mean())}


def quiet(progress: Progress) -> None:
    """No output."""


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("orthogonal", [False, True])
def test_training_lowers_the_held_out_error(tmp_path: Path, orthogonal: bool) -> None:
    recipe = LineRecipe(replace(SCHEDULE, orthogonal=orthogonal))
    before = recipe.evaluate(recipe.build().eval())["error"]
    trained = train(recipe, tmp_path, steps=60, report=quiet)
    assert trained.figures["error"] < 0.6 * before


@pytest.mark.parametrize("orthogonal", [False, True])
def test_a_killed_run_resumes_exactly(
    tmp_path: Path, orthogonal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = LineRecipe(replace(SCHEDULE, orthogonal=orthogonal))
    whole = train(recipe, tmp_path / "whole", steps=12, report=quiet)
    calls = 0
    honest = LineRecipe.loss

    def dying(
        self: LineRecipe, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return honest(self, model, batch, progress)

    monkeypatch.setattr(LineRecipe, "loss", dying)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "killed", steps=12, checkpoint_seconds=0, report=quiet)
    monkeypatch.setattr(LineRecipe, "loss", honest)
    resumed = train(recipe, tmp_path / "killed", steps=12, report=quiet)
    assert torch.equal(weights(whole.model), weights(resumed.model))
    assert whole.figures == resumed.figures


def test_a_spent_budget_is_only_loaded(tmp_path: Path) -> None:
    first = train(LineRecipe(), tmp_path, steps=3, report=quiet)
    lines = (tmp_path / FIGURES_NAME).read_text().splitlines()
    again = train(LineRecipe(), tmp_path, steps=3, report=quiet)
    assert torch.equal(weights(first.model), weights(again.model))
    assert again.figures == first.figures == {"error": json.loads(lines[-1])["held-out error"]}
    assert (tmp_path / FIGURES_NAME).read_text().splitlines() == lines


def test_a_budget_of_minutes_ends(tmp_path: Path) -> None:
    reports: list[Progress] = []
    train(LineRecipe(), tmp_path, minutes=0.005, report=reports.append)
    assert reports[-1].fraction == 1.0
    assert reports[-1].seconds >= 0.3


def test_training_without_a_budget_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="budget"):
        train(LineRecipe(), tmp_path)


def test_a_loss_that_stays_not_a_number_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="learning rate"):
        train(LineRecipe(poison=1.0), tmp_path, steps=100, report=quiet)


def test_the_learning_rate_warms_up_and_ends_at_one_per_cent() -> None:
    schedule = Schedule(learning_rate=1.0, batch_size=1, warmup_steps=10)
    assert learning_rate_at(schedule, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate_at(schedule, 9, 0.0) == pytest.approx(1.0)
    assert learning_rate_at(schedule, 1000, 1.0) == pytest.approx(0.01)


def test_orthogonalising_flattens_the_spectrum() -> None:
    matrix = torch.randn(2, 24, 60, generator=torch.Generator().manual_seed(0))
    spectrum = torch.linalg.svdvals(orthogonalised(matrix))
    assert spectrum.min() > 0.5
    assert spectrum.max() < 1.4


def test_tables_norms_and_thin_matrices_are_left_to_adam() -> None:
    assert is_matrix("conv.weight", torch.zeros(32, 8, 3, 3))
    assert not is_matrix("token_embedding.weight", torch.zeros(900, 128))
    assert not is_matrix("norm.weight", torch.zeros(128))
    assert not is_matrix("conv_out.weight", torch.zeros(8, 64, 3, 3))
