"""The words of the report in its languages, as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from eval.ab.results import Overall, Result, Verdict

WORDS_FILE: Final = Path(__file__).with_name("words.toml")


def of_result(words: Mapping[str, Mapping[str, str]], result: Result) -> dict[str, dict[str, str]]:
    """The same with a title and a note for every metric, and the reason of every verdict."""
    made = {}
    for language, known in words.items():
        said = dict(known)
        for metric in result.metrics:
            key, head = f"metric.{metric.key}", metric.key.partition(".")[2]
            said[key] = known.get(key, metric.title)
            if metric.parent:
                obeyed = known["page.obeyed"]
                said[key] = obeyed.replace("{head}", known.get(f"head.{head}", head))
            said[f"note.{metric.key}"] = known.get(f"note.{metric.key}") or metric.note
        for one in result.overall:
            said[f"because.{one.arm}"] = _reason(one, said, result)
        made[language] = said
    return made


def _reason(overall: Overall, said: Mapping[str, str], result: Result) -> str:
    """Overall.why in the language of the words, from the lines of the gate and what is outside."""
    named = overall.verdict
    kind = str(named)
    lines = [line for line in overall.gate if line.found is named]
    if named is Verdict.NOT_WORSE:
        missed = [line for line in overall.gate if not line.holds]
        kind, lines = ("not better", missed) if missed else (kind, list(overall.gate))
    gate = {line.metric for line in overall.gate}
    outside = [
        one.metric
        for one in result.comparisons
        if one.arm == overall.arm and one.verdict is Verdict.WORSE and one.metric not in gate
        if not result.metric(one.metric).parent
    ]

    def filled(key: str, metrics: Iterable[str]) -> str:
        titles = [said.get(f"metric.{metric}", metric) for metric in metrics]
        return said[f"why.{key}"].replace("{metrics}", said["page.separator"].join(titles))

    told = filled(kind, [line.metric for line in lines])
    return told + filled("outside", outside) if outside else told


def sentences(
    words: Mapping[str, Mapping[str, str]], overall: Overall, reference: str
) -> dict[str, list[tuple[str, str]]]:
    """The verdict as a sentence in each language: pieces of "text", "arm" and "verdict"."""
    names = {"{arm}": overall.arm, "{reference}": reference}
    return {
        language: [
            ("arm", names[piece]) if piece in names
            else ("verdict", piece[1:-1]) if piece.startswith("[")
            else ("text", piece)
            for piece in re.split(r"(\{\w+\}|\[.*?\])", said[f"sentence.{overall.verdict}"])
            if piece
        ]
        for language, said in words.items()
    }  # fmt: skip
