"""An arm's peak memory, measured in a process that draws with that arm alone.

`python -m eval.ab.memory ARM` is that process: it reads the config from stdin and prints bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from eval.ab.catalogue import Entry
from eval.ab.config import ReadConfig, parse_config
from eval.ab.results import Comparison, Estimate, Verdict

_PICTURES: Final = 8
KEY: Final = "memory"


class MemoryUnmeasured(RuntimeError):
    """The process that measures did not end well."""


def measure_memory(read: ReadConfig, arm: str) -> int:
    """Peak bytes of the process, or of the device where there is one. Raises MemoryUnmeasured."""
    command = [sys.executable, "-m", "eval.ab.memory", arm, str(read.place.resolve())]
    root = Path(__file__).resolve().parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    result = subprocess.run(
        command, env=environment, input=read.text, capture_output=True, text=True, check=False
    )
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise MemoryUnmeasured(f"the memory of {arm} could not be measured: {last}")
    return int(result.stdout.strip().splitlines()[-1])


def memory_estimates(memory: Mapping[str, int], arm: str) -> tuple[Estimate, ...]:
    """The measured peak of an arm, as the one number it is."""
    if arm not in memory:
        return ()
    value = float(memory[arm])
    return (Estimate(metric=KEY, mean=value, low=value, high=value, units=1),)


def memory_comparisons(
    memory: Mapping[str, int], arms: Sequence[str], entries: Iterable[Entry]
) -> tuple[Comparison, ...]:
    """Each arm's peak beside the reference's: one measurement each, so a margin and no interval."""
    entry = next((one for one in entries if one.key == KEY), None)
    if entry is None or any(arm not in memory for arm in arms):
        return ()
    reference = float(memory[arms[0]])
    margin = (entry.margin or 0.0) * reference
    made = []
    for arm in arms[1:]:
        difference = memory[arm] - reference
        verdict = Verdict.NOT_WORSE
        if abs(difference) > margin:
            verdict = Verdict.WORSE if difference > 0 else Verdict.BETTER
        made.append(
            Comparison(
                arm=arm, metric=KEY, mean=difference, low=difference, high=difference, units=1,
                unit_name=entry.unit, test="none", p=None, q=None, e_value=None,
                wins=int(difference < 0), ties=int(difference == 0), losses=int(difference > 0),
                effect=None, margin=margin, verdict=verdict, more_units=None,
                reference_mean=reference, arm_mean=float(memory[arm]),
                why=f"{difference / 2**20:+.0f} MiB, measured once; {margin / 2**20:.0f} MiB "
                "either way count as the same",
            )
        )  # fmt: skip
    return tuple(made)


def _measure_here(text: str, arm: str, place: Path) -> int:
    from eval.ab.arms import engine_of, request_of
    from eval.ab.cases import cases_of
    from eval.ab.suite import read_suite
    from models import open_bundle

    config = parse_config(text, "the config", place).config
    settings = config.arms[arm]
    size = open_bundle(settings.bundle or config.bundle).manifest.size
    cases = cases_of(read_suite(config.suite, place), config.seed, size)
    chosen = [cases[number] for number in range(min(_PICTURES, len(cases)))]
    with engine_of(settings, config.bundle, _PICTURES) as engine:
        handles = [engine.submit(request_of(settings, case)) for case in chosen]
        results = [handle.result() for handle in handles]
    return max(one.usage.peak_device_bytes or one.usage.peak_memory_bytes for one in results)


if __name__ == "__main__":
    print(_measure_here(sys.stdin.read(), sys.argv[1], Path(sys.argv[2])))
