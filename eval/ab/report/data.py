"""What the page's script draws from, as plain JSON: cases, values, looks, words, pictures once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from eval.ab.report.pictures import Album
from eval.ab.results import Case, Drawing, Result
from eval.report import for_script

Words = Mapping[str, Mapping[str, str]]


def data_of(
    result: Result, cases: Sequence[Case], folder: Path, words: Words, most_cases: int | None
) -> str:
    """The data as text that a <script> may hold.

    folder: of the run, with its pictures. most_cases: of how many cases there are pictures, those
    that lost most; the values of all others are there still, for the distributions.
    """
    shown = worst_cases(result, cases, most_cases)
    album = Album(folder, _files(case for case in cases if case.number in shown))
    return for_script(
        {
            "words": words,
            "arms": [arm.name for arm in result.arms],
            "estimates": [
                {one.metric: [_rounded(one.mean), _rounded(one.low), _rounded(one.high)]
                 for one in arm.estimates}
                for arm in result.arms
            ],
            "metrics": [metric.model_dump(mode="json") for metric in result.metrics],
            "gate": list({line.metric: 0 for one in result.overall for line in one.gate}),
            "comparisons": [
                {"arm": one.arm, "metric": one.metric, "margin": one.margin, "mean": one.mean,
                 "low": one.low, "high": one.high}
                for one in result.comparisons
            ],
            "looks": [
                [look.arm, look.metric, look.units, _rounded(look.mean), _rounded(look.low),
                 _rounded(look.high)]
                for look in result.looks
            ],
            "cases": [_case(case, album) for case in cases if case.number in shown],
            "others": [
                {"drawings": [{"values": _values(one)} for one in case.drawings]}
                for case in cases
                if case.number not in shown
            ],
            "pictures": album.uris,
        }
    )  # fmt: skip


def _files(cases: Iterable[Case]) -> Iterator[str]:
    for case in cases:
        yield from (case.photo, case.wished, *(one.picture for one in case.drawings))


def worst_cases(result: Result, cases: Sequence[Case], most: int | None) -> set[int]:
    """Numbers of the cases to show: those that lost most in the first metric of the gate."""
    if most is None or most >= len(cases):
        return {case.number for case in cases}
    gate = [line.metric for one in result.overall for line in one.gate]
    compared = [m for m in result.metrics if m.kind in ("quality", "cost") and not m.parent]
    compared.sort(key=lambda metric: gate.index(metric.key) if metric.key in gate else len(gate))
    if not compared:
        return {case.number for case in cases[:most]}
    key, sign = compared[0].key, 1 if compared[0].more_is == "better" else -1

    def gain(case: Case) -> float:
        base = case.drawings[0].values.get(key)
        own = [one.values[key] for one in case.drawings[1:] if key in one.values]
        return min((sign * (value - base) for value in own), default=0.0) if base is not None else 0

    return {case.number for case in sorted(cases, key=gain)[:most]}


def _case(case: Case, album: Album) -> dict[str, object]:
    return {
        "number": case.number, "person": case.person, "style": case.style, "wish": case.wish,
        "seed": case.seed, "asked": case.asked, "photo": album.number(case.photo),
        "wished": album.number(case.wished),
        "drawings": [_drawing(one, album) for one in case.drawings],
    }  # fmt: skip


def _drawing(one: Drawing, album: Album) -> dict[str, object]:
    return {
        "picture": album.number(one.picture), "failure": one.failure, "prompt": one.prompt,
        "negative": one.negative_prompt, "size": one.size, "seen": one.seen,
        "warnings": one.warnings, "values": _values(one),
        "trace": [
            [visit.stage, _rounded(visit.seconds), visit.decisions, visit.downgrades]
            for visit in one.trace
        ],
    }  # fmt: skip


def _values(one: Drawing) -> dict[str, float]:
    return {key: _rounded(value) for key, value in one.values.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
