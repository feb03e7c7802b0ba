"""What a journal amounts to: the result, complete or not, and the cases its report shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from eval.ab.analysis import compare, estimates, looks
from eval.ab.catalogue import DEFAULT_GATE
from eval.ab.journal import Journal
from eval.ab.keepsakes import photo_files
from eval.ab.memory import memory_comparisons, memory_estimates
from eval.ab.plan import Plan
from eval.ab.results import (
    Arm,
    Case,
    Comparison,
    Drawing,
    Overall,
    Result,
    SuiteFacts,
    Verdict,
)
from eval.ab.sets import distances_of
from eval.ab.source import code_commit, code_version
from eval.ab.table import Table, table_of
from eval.ab.verdicts import overall


def table_so_far(plan: Plan, journal: Journal) -> Table:
    """The values of all cases that are done in every arm."""
    config = plan.read.config
    return table_of(journal, plan.cases, config.order, config.block, config.price)


def standing(plan: Plan, table: Table) -> tuple[Overall, ...]:
    """The verdicts of a run that goes on, by what may be looked at at any time."""
    comparisons = compare(table, plan.entries, plan.read.config, True, {}) if len(table) else ()
    return _overalls(plan, table.arms, comparisons)


def decided(overalls: Sequence[Overall]) -> bool:
    """Whether nothing is undecided any more."""
    return bool(overalls) and all(one.verdict is not Verdict.UNDECIDED for one in overalls)


def result_of(plan: Plan, journal: Journal, command: str = "") -> Result:
    """Everything the journal amounts to."""
    config, table = plan.read.config, table_so_far(plan, journal)
    complete = table.done == len(plan.cases)
    anytime = config.stop_early or not complete
    comparisons = _comparisons(plan, table, journal, anytime)
    overalls = _overalls(plan, table.arms, comparisons)
    early = config.stop_early and decided(overalls)
    measured = [e for e in plan.entries if any(c.metric == e.key for c in comparisons)]
    return Result(
        name=config.name,
        title=config.title or config.name,
        state="complete" if complete else "stopped early" if early else "unfinished",
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=journal.seconds,
        command=command,
        version=code_version(),
        commit=code_commit(),
        machine=plan.machine,
        config=plan.read.text,
        suite=SuiteFacts(
            name=config.suite, title=plan.suite.title, digest=plan.cases.content(),
            people=table.planned_people, cases=len(plan.cases), seed=config.seed,
        ),
        cases_done=table.done,
        reference=table.reference,
        arms=tuple(_arm(plan, name, table, journal) for name in table.arms),
        metrics=tuple(entry.metric for entry in measured),
        comparisons=comparisons,
        looks=looks(table, plan.entries, plan.gate_keys | {*DEFAULT_GATE}),
        overall=overalls,
        notes=(*plan.notes, *_gate_notes(plan), *_picture_notes(table, journal, comparisons, plan)),
    )  # fmt: skip


def shown_cases(plan: Plan, journal: Journal) -> Iterator[Case]:
    """The cases that are done, as a report shows them."""
    table = table_so_far(plan, journal)
    for row, number in enumerate(table.numbers):
        case = plan.cases[int(number)]
        photo, wished = photo_files(case.number, case.unit)
        wished = wished if (journal.folder / wished).is_file() else ""
        known = {key for arm in table.arms for key in journal.judged[case.number, arm].seen}
        drawings = []
        for arm in table.arms:
            drawn, judged = journal.drawn[case.number, arm], journal.judged[case.number, arm]
            values = {
                entry.key: float(table.values[arm, entry.key][row])
                for entry in plan.entries
                if (arm, entry.key) in table.values
                and table.values[arm, entry.key][row] == table.values[arm, entry.key][row]
            }
            drawings.append(
                Drawing(
                    arm=arm, picture=drawn.picture, failure=drawn.failure, prompt=drawn.prompt,
                    negative_prompt=drawn.negative_prompt, size=drawn.size, values=values,
                    seen=judged.seen, trace=drawn.trace, warnings=drawn.warnings,
                )
            )  # fmt: skip
        yield Case(
            number=case.number, person=case.person, style=case.style, wish=case.wish,
            seed=case.seed, photo=photo, wished=wished,
            asked={key: value for key, value in case.asked.items() if key in known},
            drawings=tuple(drawings),
        )  # fmt: skip


def _comparisons(
    plan: Plan, table: Table, journal: Journal, anytime: bool
) -> tuple[Comparison, ...]:
    distances = {}
    wants_sets = any(entry.metric.kind == "set" for entry in plan.entries)
    if wants_sets and plan.jury.vision is not None and len(table):
        distances = distances_of(journal, plan.cases, table, plan.jury.vision)
    comparisons = compare(table, plan.entries, plan.read.config, anytime, distances)
    return comparisons + memory_comparisons(journal.memory, table.arms, plan.entries)


def _overalls(
    plan: Plan, arms: Sequence[str], comparisons: Sequence[Comparison]
) -> tuple[Overall, ...]:
    gate = plan.read.config.gate
    return tuple(overall(arm, gate, comparisons, plan.left_out) for arm in arms[1:])


def _arm(plan: Plan, name: str, table: Table, journal: Journal) -> Arm:
    bundle = plan.bundles[name]
    failed = sum(bool(line.failure) for (_, arm), line in journal.drawn.items() if arm == name)
    return Arm(
        name=name,
        settings=plan.read.config.arms[name].given(),
        bundle=bundle.name,
        bundle_digest=bundle.digest,
        licence=bundle.manifest.licence,
        estimates=estimates(table, plan.entries, name) + memory_estimates(journal.memory, name),
        failures=failed,
    )


def _gate_notes(plan: Plan) -> tuple[str, ...]:
    return tuple(
        f"the default gate's {key} cannot be measured here, and was left out"
        for key in plan.left_out
    )


def _picture_notes(
    table: Table, journal: Journal, comparisons: Sequence[Comparison], plan: Plan
) -> tuple[str, ...]:
    """What failed, and what that leaves out."""
    notes = []
    for arm in table.arms:
        failures = [
            line.failure for (_, a), line in journal.drawn.items() if a == arm and line.failure
        ]
        if failures:
            notes.append(f"{len(failures)} pictures of {arm} failed, the first: {failures[0]}")
    if lost := table.done - len(table):
        notes.append(f"{lost} cases failed in every arm, and say nothing of how the arms differ")
    wants_sets = any(entry.metric.kind == "set" for entry in plan.entries)
    if wants_sets and not any(one.metric == "kid" for one in comparisons):
        notes.append("KID is told at the end only, and where no picture is missing")
    compared = {one.metric for one in comparisons}
    timed = [
        entry.key for entry in plan.entries if entry.unit == "blocks" and entry.key != "memory"
    ]
    if len(table) and not compared & {*timed}:
        notes.append(
            f"{', '.join(timed)} are compared by blocks of cases, of which there are too few yet: "
            "more people, or a smaller block in the config"
        )
    return tuple(notes)
