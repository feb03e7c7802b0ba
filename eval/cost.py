"""What a portrait costs in time and memory, measured in a process of its own.

`python -m eval.cost BUNDLE PICTURES` is that process: it opens the bundle cold, draws, and prints
its figures as one line of JSON. Nothing else may have been loaded there.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from eval.card import Chapter, Figure

if TYPE_CHECKING:
    from eval.bench import Bench  # not at run time: the measuring process must stay bare

STEPS = 20
_FIRST = 120_000  # held-out seed of the first person
_MEBIBYTE = 1 << 20


class Cost(BaseModel):
    """Seconds to load (imports included), for the first and for later portraits; peak memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    load_seconds: float
    first_seconds: float
    warm_seconds: tuple[float, ...]
    peak_memory_bytes: int
    peak_device_bytes: int


class CostUnmeasured(RuntimeError):
    """The process that measures did not end well."""


def cost_chapter(bench: "Bench") -> Chapter:
    """Seconds of a portrait once loaded, from a cold start, and the memory of the process."""
    started = time.perf_counter()
    cost = measure_cost(
        bench.bundle.directory, bench.extent.timed_pictures, bench.components.device
    )
    cold = time.perf_counter() - started - sum(cost.warm_seconds)
    figures = [
        Figure(
            key="seconds_portrait", title=f"a portrait of {STEPS} steps with guidance", unit="s",
            value=statistics.median(cost.warm_seconds), bar=1.0, wanted="at most",
            interval=(min(cost.warm_seconds), max(cost.warm_seconds)),
            count=len(cost.warm_seconds), note="once loaded: median, the range beside it",
        ),
        Figure(
            key="seconds_cold", title="from a cold start to the first portrait", unit="s", digits=1,
            value=cold, bar=12.0, wanted="at most", count=1,
        ),
        Figure(
            key="memory", title="peak memory of the process", unit="MiB", digits=0,
            value=cost.peak_memory_bytes / _MEBIBYTE, bar=1536.0, wanted="at most", count=1,
        ),
    ]  # fmt: skip
    if cost.peak_device_bytes:
        figures.append(
            Figure(
                key="memory_device", title="peak memory on the device", unit="MiB", digits=0,
                value=cost.peak_device_bytes / _MEBIBYTE, count=1,
            )
        )  # fmt: skip
    method = (
        f"One photo, free portraits at {bench.size}², in a process of its own on "
        f"{os.cpu_count()} cores. Whatever else the machine was doing is in the figures: its load "
        f"over the last minute was {os.getloadavg()[0]:.1f}."
    )
    return Chapter(key="cost", title="Time and memory", method=method, figures=tuple(figures))


def measure_cost(bundle: Path, pictures: int, device: object = "auto") -> Cost:
    """Run the measuring process. Raises CostUnmeasured with what it said last."""
    command = [sys.executable, "-m", "eval.cost", str(bundle), str(pictures), str(device)]
    root = Path(__file__).resolve().parent.parent
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CostUnmeasured(f"measuring the cost failed: {result.stderr.strip()[-400:]}")
    return Cost.model_validate_json(result.stdout.strip().splitlines()[-1])


def _measure_here(bundle: Path, pictures: int, device: str) -> Cost:
    from models import open_bundle

    open_bundle(bundle)  # a bundle that is none is refused before the clock starts
    started = time.perf_counter()
    from eval.people import held_out_people, snapshot
    from fusion import Engine, FusionRequest, Identity

    engine = Engine.load(bundle, device=device)
    loaded = time.perf_counter()
    import numpy as np

    (person,) = held_out_people(1, _FIRST)
    photo = snapshot(person, np.random.default_rng(_FIRST))
    seconds, peak, peak_device = [], 0, 0
    for seed in range(1 + pictures):
        begun = time.perf_counter()
        result = engine.fuse(
            FusionRequest(
                identities=(Identity(image=photo.image),),
                attributes={"gender": person.gender, "age": 25 + seed, "expression": "smiling"},
                steps=STEPS,
                seed=seed,
            )
        )
        seconds.append(time.perf_counter() - begun)
        peak = max(peak, result.usage.peak_memory_bytes)
        peak_device = max(peak_device, result.usage.peak_device_bytes)
    return Cost(
        load_seconds=loaded - started,
        first_seconds=seconds[0],
        warm_seconds=tuple(seconds[1:]),
        peak_memory_bytes=peak,
        peak_device_bytes=peak_device,
    )


if __name__ == "__main__":
    figures = _measure_here(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    print(json.dumps(figures.model_dump()))
