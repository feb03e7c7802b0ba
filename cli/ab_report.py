"""What an A/B run says on the terminal: how far it is, and what it found."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import progress, remark, say, standard_error, table

if TYPE_CHECKING:
    from eval import ABComparison, ABListener, ABNull, ABOverall, ABReadConfig, ABResult

_SAID_EVERY_SECONDS = 30.0  # where there is no terminal to draw a bar on


def folder_of(read: "ABReadConfig", output: Path | None) -> Path:
    """Where a run lives: as given, else out/ab/ and its name. Raises OutputRejected."""
    from cli.outputs import check_directory

    folder = output or Path("out") / "ab" / read.config.name
    check_directory(folder)
    return folder


@contextmanager
def told_by() -> Iterator["ABListener"]:
    """A display for a run: a bar with the time left and the verdicts as they stand."""
    from eval import ABListener

    terminal = standard_error().is_terminal
    last = time.monotonic()
    with progress(remaining=True) as bar:
        task = bar.add_task("beginning", total=None)

        def drawn(done: int, total: int) -> None:
            nonlocal last
            if bar.tasks[task].total != total:  # the rate counts from here
                bar.reset(task, total=total, completed=0)
                bar.update(task, completed=done)
            bar.update(task, completed=done)
            if not terminal and time.monotonic() - last > _SAID_EVERY_SECONDS:
                last = time.monotonic()
                remark(f"{done} of {total} pictures")

        def standing(verdicts: "Sequence[ABOverall]") -> None:
            if terminal:
                for one in verdicts:
                    bar.console.print(f"  so far  {one.arm}: {one.verdict} ({one.why})")

        try:
            yield ABListener(
                stage=lambda text: bar.update(task, description=text),
                drawn=drawn,
                standing=standing,
                remark=lambda text: remark(f"note: {text}"),
            )
        except KeyboardInterrupt:
            remark("what was drawn is kept: the same command goes on from there")
            raise


def tell_result(result: "ABResult", folder: Path) -> None:
    """Verdicts first, then every metric with its interval; where the report lies."""
    count = f"{result.cases_done} of {result.suite.cases} cases"
    say(
        f"  {result.state}: {count} in {len(result.arms)} arms, {result.seconds:.0f} s at work",
        first=result.title,
    )
    for one in result.overall:
        rows = [
            _row(result, found)
            for found in result.comparisons
            if found.arm == one.arm and not result.metric(found.metric).parent
        ]
        columns = ["metric", result.reference, one.arm, "difference, 95 %", "verdict", "undecided"]
        table(columns if any(row[-1] for row in rows) else columns[:-1],
              rows if any(row[-1] for row in rows) else [row[:-1] for row in rows])  # fmt: skip
        parts = [
            found.metric.partition(".")[2]
            for found in result.comparisons
            if found.arm == one.arm and found.verdict == "worse" and "." in found.metric
        ]
        if parts:
            say(f"attributes that are worse: {', '.join(parts)}")
        say(f", beside {result.reference}: {one.why}", first=f"{one.arm} is {one.verdict}")
    for note in result.notes:
        remark(f"note: {note}")
    say(f"report: {folder / 'report.html'}")


def _row(result: "ABResult", found: "ABComparison") -> list[object]:
    from eval import shown_number, unit_of

    metric = result.metric(found.metric)
    signed = metric.kind != "agreement"
    low, high = (shown_number(metric, end, signed) for end in (found.low, found.high))
    unit = unit_of(metric)
    reference = found.reference_mean
    more = "" if found.more_units is None else f"{found.more_units:,} {found.unit_name} more"
    return [
        f"{metric.title}, {unit}" if unit and unit not in metric.title else metric.title,
        "" if reference is None else shown_number(metric, reference, signed=False),
        shown_number(metric, found.arm_mean, signed=False),
        low if low == high else f"{low} … {high}",
        str(found.verdict),
        more,
    ]


def tell_null(found: "ABNull", folder: Path) -> None:
    """How often something was found where there is nothing."""
    table(
        ["the same arm twice", "runs", "found something", "rate", "95 % interval"],
        [
            [line.title, line.runs, line.found, f"{100 * line.rate:.1f} %",
             f"{100 * line.low:.1f} … {100 * line.high:.1f} %"]
            for line in found.lines
        ],
    )  # fmt: skip
    for text in found.findings:
        say(f"  {text}")
    say(f"runs and their reports: {folder}")
