"""How a training tells what it does: a bar on a terminal, plain lines in a log, rows in a file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    """One line of the report. `fraction` of the budget that is spent; `seconds` of training, over
    all resumes.
    """

    name: str
    step: int
    seconds: float
    fraction: float
    samples_per_second: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """The report as plain words for a log."""
        shown = "  ".join(f"{key} {value:.4g}" for key, value in self.figures.items())
        return (
            f"{self.name}  {self.fraction:6.1%}  {self.seconds / 60:5.1f} min  step {self.step}"
            f"  {self.samples_per_second:.0f}/s  {shown}"
        )


Report = Callable[[Progress], None]


def plain_report(progress: Progress) -> None:
    """Print one line, at once."""
    print(progress.line(), flush=True)


class Reporter:
    """A bar on a terminal, a plain line every 20 seconds elsewhere; each report also goes to
    figures.jsonl.
    """

    def __init__(self, path: Path, report: Report | None) -> None:
        self.path = path
        self.interval_seconds = 20.0
        self._bar: _Bar | None = None
        if report is None and sys.stdout.isatty():
            self._bar = _Bar()
            self.interval_seconds = 2.0
        self._report = report or (self._bar.show if self._bar else plain_report)
        self._last = time.perf_counter()
        self._steps = 0
        self._sums: dict[str, float] = {}

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.close()

    def step(self, progress: Progress, batch_size: int) -> None:
        """Count one optimiser step; the means of its figures are reported when it is time."""
        self._steps += 1
        for name, value in progress.figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        elapsed = time.perf_counter() - self._last
        if elapsed >= self.interval_seconds:
            means = {name: value / self._steps for name, value in self._sums.items()}
            speed = self._steps * batch_size / elapsed
            self._write(replace(progress, samples_per_second=speed, figures=means))
            self._last, self._steps, self._sums = time.perf_counter(), 0, {}

    def held_out(self, progress: Progress) -> None:
        """Report held-out figures at once."""
        named = {f"held-out {name}": value for name, value in progress.figures.items()}
        self._write(replace(progress, figures=named))

    def _write(self, progress: Progress) -> None:
        self._report(progress)
        row = {"step": progress.step, "seconds": round(progress.seconds, 1), **progress.figures}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


class _Bar:
    """rich's progress bar over the budget's fraction."""

    def __init__(self) -> None:
        from rich import progress as rich_progress

        self._progress = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.TaskProgressColumn(),
            rich_progress.TimeElapsedColumn(),
            rich_progress.TextColumn("{task.fields[figures]}"),
        )
        self._task = self._progress.add_task("", total=1.0, figures="")
        self._progress.start()

    def show(self, progress: Progress) -> None:
        shown = "  ".join(f"{key} {value:.4g}" for key, value in progress.figures.items())
        self._progress.update(
            self._task, description=progress.name, completed=progress.fraction, figures=shown
        )

    def close(self) -> None:
        self._progress.stop()
