"""A result and its cases as a run would leave them, with pictures from the renderer."""

from pathlib import Path

import numpy as np
from PIL import Image

from eval.ab.catalogue import CATALOGUE, part_of
from eval.ab.results import (
    Arm,
    Case,
    Comparison,
    Drawing,
    Estimate,
    GateLine,
    Look,
    Overall,
    Result,
    StageVisit,
    SuiteFacts,
    Verdict,
)
from world import render, sample_look, sample_person

HOSTILE = '<img src=x onerror="document.title=1"></script><script>document.title=1</script>'
VERDICTS = {
    "identity": Verdict.WORSE, "attributes": Verdict.NOT_WORSE, "psnr": Verdict.WORSE,
    "seconds": Verdict.BETTER, "attributes.glasses": Verdict.UNDECIDED,
}  # fmt: skip


def make_run(
    folder: Path, count: int, arms: tuple[str, ...] = ("twenty", "four"), side: int = 64
) -> tuple[Result, list[Case]]:
    """A run of so many cases; the last person has a hostile name, one drawing has failed.

    side: of the pictures, in pixels.
    """
    rng = np.random.default_rng(0)
    cases = []
    for number in range(count):
        person = sample_person(number)
        drawings = []
        for index, arm in enumerate(arms):
            file = f"pictures/{index}/{number}.png"
            _paint(folder / file, person, rng, side)
            failed = number == 3 and index == 1
            values = {
                "identity": 0.6 - 0.1 * index * (number % 7), "attributes": 0.9,
                "seconds": 0.4 - 0.1 * index, "attributes.glasses": float(number % 2),
                "psnr": 20.0 + number,
            }  # fmt: skip
            drawings.append(
                Drawing(
                    arm=arm, picture="" if failed else file, prompt=f"portrait {number}, glasses",
                    failure="FaceNotFound: nobody" if failed else "", values=values,
                    seen={"glasses": "yes" if number % 2 else "no"},
                    trace=(
                        StageVisit(stage="denoise", seconds=0.1, decisions=("20 steps",),
                                   downgrades=("16 steps: a long queue",) if index else ()),
                    ),
                    warnings=("two faces: the larger was taken",) if number == 4 else (),
                )
            )  # fmt: skip
        name = HOSTILE if number == count - 1 else f"person {number}"
        photo = f"photos/{number}.png"
        _paint(folder / photo, person, rng, side)
        cases.append(
            Case(
                number=number, person=name, wish=f"age {20 + number}, glasses", seed=number,
                photo=photo, asked={"glasses": "yes"} | ({"hat": "no"} if number % 5 == 0 else {}),
                drawings=tuple(drawings),
            )
        )  # fmt: skip
    return _result(arms, count), cases


def _paint(file: Path, person: object, rng: np.random.Generator, side: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    look = sample_look(rng, person)  # type: ignore[arg-type]
    Image.fromarray(render(person, look, side).image).save(file)  # type: ignore[arg-type]


def _result(arms: tuple[str, ...], count: int) -> Result:
    metrics = [CATALOGUE[key].metric for key in VERDICTS if key in CATALOGUE]
    metrics.append(part_of("glasses").metric)
    comparisons, looks = [], []
    for arm in arms[1:]:
        for key, verdict in VERDICTS.items():
            comparisons.append(
                Comparison(
                    arm=arm, metric=key, mean=-0.02, low=-0.05, high=0.01, units=count,
                    unit_name="people", test="Wilcoxon", p=0.01, q=0.03, e_value=3.0, wins=1,
                    ties=2, losses=3, effect=-0.2, margin=0.01, verdict=verdict,
                    more_units=120 if verdict is Verdict.UNDECIDED else None,
                    reference_mean=0.5, arm_mean=0.48, why="as it is",
                )
            )  # fmt: skip
        looks += [
            Look(arm=arm, metric="identity", units=n, mean=-0.02, low=-0.5 / n, high=0.4 / n)
            for n in range(12, 40, 4)
        ]
    gate = (
        GateLine(metric="identity", wanted=Verdict.NOT_WORSE, found=Verdict.WORSE, holds=False),
        GateLine(metric="seconds", wanted=Verdict.BETTER, found=Verdict.BETTER, holds=True),
    )
    return Result(
        name="few", title="Four steps instead of twenty", state="complete",
        measured_at="2026-01-02T03:04:05+00:00", seconds=61.0, command="limner ab few.toml",
        version="0.1.0", commit="abc", machine="2 cores", config='title = "</script>"\n',
        suite=SuiteFacts(name="s", title="people", digest="d" * 64, people=count, cases=count,
                         seed=0),
        cases_done=count, reference=arms[0],
        arms=tuple(
            Arm(name=arm, settings={"steps": "4"}, bundle="mini", bundle_digest="e" * 64,
                licence="Apache-2.0",
                estimates=tuple(
                    Estimate(metric=key, mean=0.3, low=0.2, high=0.4, units=9)
                    for key in ("seconds", "identity")
                ))
            for arm in arms
        ),
        metrics=tuple(metrics), comparisons=tuple(comparisons), looks=tuple(looks),
        overall=tuple(
            Overall(arm=arm, verdict=Verdict.WORSE, gate=gate, why="worse on identity")
            for arm in arms[1:]
        ),
        notes=("KID was not measured",),
    )  # fmt: skip
