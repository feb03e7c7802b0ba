"""Train the whole bundle, or one stage of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from models import choose_device, quiet_libraries

from .config import MINI, PRESETS, TrainingConfig
from .stages import STAGES, Workshop
from .start import seed_cache

DEFAULT_CACHE = Path("~/.cache/limner/training")


class UnknownStage(ValueError):
    """There is no stage, or no preset, of this name."""


def train_mini(
    *,
    only: str | None = None,
    minutes: float | None = None,
    device: str = "auto",
    size: int | None = None,
    threads: int | None = None,
    cache: Path | None = None,
    output: Path | None = None,
    preset: str = "mini",
    start_from: str | Path | None = None,
) -> Path:
    """Run the stages in order, skipping those that are finished; gives back the bundle's directory.

    only: one stage, run even if its result is there (its training goes on if it has budget left).
    minutes: of that stage, or of all trained stages together. device: "auto", "cpu" or "cuda".
    size: pixels of a side, 128 or 256. threads: CPU threads and rendering processes. cache: where
    everything is kept between runs. start_from: a bundle whose models are taken over or trained on.
    Raises UnknownStage, StageMissing, StartMismatch, DeviceUnavailable, BundleNotFound.
    """
    config = _config(preset, size, None if only else minutes)
    if only is not None and only not in STAGES:
        raise UnknownStage(f"no stage is called '{only}'; there are: {', '.join(STAGES)}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    choose_device(device)  # now, and not after an hour of rendering
    cache = _folder(Path(os.path.expanduser(cache or DEFAULT_CACHE)), config)
    cache.mkdir(parents=True, exist_ok=True)
    if start_from is not None:
        seed_cache(start_from, cache)
    output = output or cache / "bundle"
    workshop = Workshop(config, cache, device, threads, minutes if only else None, output)
    for name, stage in STAGES.items():
        if name == only or (only is None and not workshop.result(name).exists()):
            print(f"{name}: begins", flush=True)
            with quiet_libraries():
                stage(workshop)
            print(f"{name}: done", flush=True)
    return output


def _folder(cache: Path, config: TrainingConfig) -> Path:
    """Another preset or size keeps its results apart, or they would pass for finished ones."""
    if (config.name, config.size) == (MINI.name, MINI.size):
        return cache
    return cache / f"{config.name}-{config.size}"


def _config(preset: str, size: int | None, minutes: float | None) -> TrainingConfig:
    if preset not in PRESETS:
        raise UnknownStage(f"no preset is called '{preset}'; there are: {', '.join(PRESETS)}")
    config = PRESETS[preset]
    if size is not None:
        config = replace(config, size=size)
    if minutes is not None:
        config = replace(config, minutes=minutes)
    return config
