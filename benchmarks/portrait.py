"""The claims: a portrait of 20 steps takes a second once loaded, a cold `limner fuse` twelve.

Two cores, 128², guidance on. Memory is the most a process held.
"""

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from _record import LIMNER, peak_memory_bytes, record, time_command

PORTRAITS = 8
STEPS = 20


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        photos = Path(directory)
        subprocess.run(
            [LIMNER, "people", "2", "--seed", "7", "-o", directory],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        first, second = sorted(photos.glob("person-*.png"))
        figures: dict[str, float | int | str] = {}
        figures.update(_cold(first, photos / "out.png"))
        figures.update(_warm(first, second))
    record("portrait", figures)


def _cold(photo: Path, output: Path) -> dict[str, float | int | str]:
    seconds, memory = time_command(
        LIMNER, "fuse", "--identity", str(photo), "--steps", str(STEPS), "-o", str(output)
    )
    return {"cold_fuse_seconds": seconds, "cold_fuse_peak_mib": memory / 2**20}


def _warm(first: Path, second: Path) -> dict[str, float | int | str]:
    from fusion import Engine, FusionRequest, Identity

    started = time.perf_counter()
    engine = Engine.load("mini")
    load = time.perf_counter() - started

    def portrait(seed: int) -> float:
        request = FusionRequest(
            identities=(Identity(image=first, weight=0.7), Identity(image=second, weight=0.3)),
            attributes={"age": 60, "expression": "smiling", "glasses": True},
            steps=STEPS,
            seed=seed,
        )
        begun = time.perf_counter()
        engine.fuse(request)
        return time.perf_counter() - begun

    portrait(0)  # the first one warms what is lazy
    seconds = [portrait(seed) for seed in range(1, PORTRAITS + 1)]
    return {
        "load_seconds": load,
        "portrait_median_seconds": statistics.median(seconds),
        "portrait_slowest_seconds": max(seconds),
        "warm_peak_mib": peak_memory_bytes() / 2**20,
    }


if __name__ == "__main__":
    main()
