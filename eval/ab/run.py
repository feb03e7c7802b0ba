"""A run from its config to its result: planned, drawn block by block, judged, compared, written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval.ab.cases import Picture, SuiteCase
from eval.ab.config import ReadConfig, read_config
from eval.ab.drawing import Studio, blocks_of, draw_block
from eval.ab.journal import CONFIG_FILE, Journal, Judged
from eval.ab.judging import agreement
from eval.ab.keepsakes import keep_photos
from eval.ab.memory import MemoryUnmeasured, measure_memory
from eval.ab.outcome import decided, result_of, shown_cases, standing, table_so_far
from eval.ab.plan import Plan, plan_of
from eval.ab.report import write_report
from eval.ab.results import Overall, Result


@dataclass(frozen=True)
class Listener:
    """Who is told how far a run is; every call may be ignored.

    stage: what it does now; drawn: pictures that are there, of how many; standing: the verdicts so
    far, which may be looked at any time; remark: what a user should know.
    """

    stage: Callable[[str], None] = lambda text: None
    drawn: Callable[[int, int], None] = lambda done, total: None
    standing: Callable[[Sequence[Overall]], None] = lambda verdicts: None
    remark: Callable[[str], None] = lambda text: None


def run_ab(
    read: ReadConfig,
    folder: Path,
    listener: Listener | None = None,
    *,
    command: str = "",
    fresh: bool = False,
) -> Result:
    """Draw what the folder does not hold yet, judge, compare; leave result and report there.

    fresh: forget what an earlier run left in the folder. A run that was broken off goes on, without
    redoing a case. Whatever can be refused is refused before anything is drawn.
    Raises ABError and its kinds, what bundles, engines and requests raise, OSError.
    """
    told = listener or Listener()
    told.stage("opening the bundles")
    return run_plan(plan_of(read), folder, told, command=command, fresh=fresh)


def run_plan(
    plan: Plan, folder: Path, told: Listener, *, command: str = "", fresh: bool = False
) -> Result:
    """What run_ab does, of a run that is planned. Raises as it does."""
    read = plan.read
    largest = max(len(block) for block in blocks_of(plan.cases, read.config.block))
    with closing(Studio(read.config, largest)) as studio:
        for number in plan.cases.of_first_person():
            studio.check(plan.cases[number])
        with Journal.opened(folder, plan.header, fresh) as journal:
            for remark in journal.remarks:
                told.remark(remark)
            (folder / CONFIG_FILE).write_text(read.text, encoding="utf-8")
            _draw_missing(plan, studio, journal, told)
            return _finish(plan, journal, told, command)


def report_ab(folder: Path, command: str = "") -> Result:
    """Compare again what a run has come to, also while it goes on; write result and report.

    Raises JournalInvalid, ConfigInvalid, RunDiffers, and what planning raises.
    """
    journal = Journal.read(folder)
    assert journal.header is not None
    read = read_config(folder / CONFIG_FILE)
    named = read.config.model_copy(update={"name": journal.header.name})
    plan = plan_of(replace(read, config=named, place=journal.header.place))
    journal.check(plan.header)
    return _finish(plan, journal, Listener(), command)


def _finish(plan: Plan, journal: Journal, told: Listener, command: str) -> Result:
    told.stage("comparing")
    result = result_of(plan, journal, command)
    result.write(journal.folder)
    told.stage("writing the report")
    write_report(result, list(shown_cases(plan, journal)), journal.folder)
    return result


def _draw_missing(plan: Plan, studio: Studio, journal: Journal, told: Listener) -> None:
    config = plan.read.config
    total = len(plan.cases) * len(studio.arms)
    blocks = list(enumerate(blocks_of(plan.cases, config.block)))
    todo = [(index, numbers) for index, numbers in blocks if _misses(journal, numbers, studio)]
    told.drawn(len(journal.drawn), total)
    verdicts = standing(plan, table_so_far(plan, journal))
    if todo and not (config.stop_early and decided(verdicts)):
        told.stage("loading the models")
        studio.warm(plan.cases[todo[0][1].start])
        for arm in studio.arms:
            before = [n for n in range(len(plan.cases)) if _is_drawn(journal, n, arm)]
            studio.remember(arm, [plan.cases[number] for number in before])
        for index, numbers in todo:
            started = time.perf_counter()
            cases = [plan.cases[number] for number in numbers]
            told.stage("drawing")
            draw_block(studio, cases, index, journal, lambda: told.drawn(len(journal.drawn), total))
            told.stage("judging")
            _judge(plan, cases, journal)
            journal.spend(time.perf_counter() - started)
            verdicts = standing(plan, table_so_far(plan, journal))
            told.standing(verdicts)
            if config.stop_early and decided(verdicts):
                break
    if config.memory:
        for arm in studio.arms:
            if arm not in journal.memory:
                told.stage(f"measuring the memory of {arm}")
                try:
                    journal.remember(arm, measure_memory(plan.read, arm))
                except MemoryUnmeasured as error:  # the pictures are there all the same
                    told.remark(str(error))


def _misses(journal: Journal, numbers: range, studio: Studio) -> bool:
    return any((number, arm) not in journal.judged for number in numbers for arm in studio.arms)


def _is_drawn(journal: Journal, number: int, arm: str) -> bool:
    return (number, arm) in journal.drawn and not journal.drawn[number, arm].failure


def _judge(plan: Plan, cases: Sequence[SuiteCase], journal: Journal) -> None:
    """What nobody has judged yet; the reference's pictures stand beside the others'."""
    for case in cases:
        keep_photos(journal.folder, case)
    reference, *_ = arms = plan.read.config.order
    of_reference = [_pixels(journal, case.number, reference) for case in cases]
    for arm in arms:
        pictures = [_pixels(journal, case.number, arm) for case in cases]
        judged = plan.jury.judge(cases, pictures)
        for index, (case, (values, seen)) in enumerate(zip(cases, judged, strict=True)):
            if (case.number, arm) in journal.judged:
                continue
            beside = {} if arm == reference else agreement(pictures[index], of_reference[index])
            line = Judged(case=case.number, arm=arm, values={**values, **beside}, seen=seen)
            journal.judge(line)


def _pixels(journal: Journal, case: int, arm: str) -> Picture | None:
    image = journal.picture((case, arm))
    return None if image is None else np.asarray(image)
