"""The account of a portrait: likeness to each person, what it cost, what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from serving.page.markup.pieces import (
    chip,
    escape,
    human_bytes,
    human_seconds,
    notice,
)
from serving.page.markup.plan import plan
from serving.page.words import Words
from serving.wire import PictureAnswer, PortraitAnswer, TraceEntry, UsageAnswer

_STRONG: Final = 0.55  # cosine from which a face reads as the same person's
_FAIR: Final = 0.3


def account(words: Words, portrait: PortraitAnswer, index: int, slots: Sequence[int]) -> str:
    """All there is to tell of picture `index`. slots: of the similarities, from 1, for colours."""
    picture = portrait.images[index]
    return (
        f'<div class="lm-account" data-portrait="{escape(portrait.id)}">'
        f"{_facts(words, picture, portrait)}"
        f"{_told(words, portrait)}"
        f"{likeness(words, picture, slots)}"
        f"{_cost(words, portrait.usage) if portrait.usage else ''}"
        f"{_trace(words, portrait.trace)}"
        f"{_said(words, portrait)}"
        f"{_decisions(words, portrait.decisions)}</div>"
    )


def likeness(words: Words, picture: PictureAnswer, slots: Sequence[int]) -> str:
    """A bar for each person."""
    title = f"<h3>{escape(words('result.likeness'))}</h3>"
    if not picture.similarity or not picture.face_found:
        why = words("result.no_face" if picture.similarity else "result.unmeasured")
        return f'<section>{title}<p class="lm-faint">{escape(why)}</p></section>'
    rows = "".join(
        _likeness_row(
            words,
            words("people.person", number=slots[place] if place < len(slots) else place + 1),
            slots[place] if place < len(slots) else place + 1,
            one.cosine,
            len(picture.similarity) > 1,
            one.weight,
        )
        for place, one in enumerate(picture.similarity)
    )
    if len(picture.similarity) > 1:
        rows += _likeness_row(words, words("result.wished"), 0, picture.wished_cosine, False, 0)
    note = f'<p class="lm-faint">{escape(words("result.likeness_note"))}</p>'
    return f'<section class="lm-likeness">{title}{rows}{note}</section>'


def _likeness_row(
    words: Words, name: str, slot: int, cosine: float, several: bool, weight: float
) -> str:
    level = "strong" if cosine >= _STRONG else "fair" if cosine >= _FAIR else "weak"
    # Somebody with a share of a blend is meant to be there in part only: nothing to judge.
    judged = (
        ""
        if several
        else f'<span class="lm-level {level}">{escape(words(f"result.{level}"))}</span>'
    )
    share = f' <span class="lm-faint">{weight:.0%}</span>' if several else ""
    return (
        f'<div class="lm-like p{slot}" data-cosine="{cosine:.3f}">'
        f'<span class="lm-like-name"><span class="lm-dot"></span>{escape(name)}{share}</span>'
        f'<span class="lm-bar"><i style="width:{max(0.0, min(1.0, cosine)):.1%}"></i></span>'
        f"<b>{cosine:.2f}</b>{judged}</div>"
    )


def _facts(words: Words, picture: PictureAnswer, portrait: PortraitAnswer) -> str:
    facts = [
        words("result.size", width=picture.width, height=picture.height),
        words("result.seed", seed=picture.seed),
    ]
    if portrait.usage:
        facts.append(f"{human_seconds(portrait.usage.seconds)} {words('cost.seconds')}")
    if picture.attempts > 1:
        facts.append(words("result.attempts", attempts=picture.attempts))
    return f'<p class="lm-facts">{"".join(chip(fact) for fact in facts)}</p>'


def _said(words: Words, portrait: PortraitAnswer) -> str:
    if portrait.prompt is None:
        return ""
    return (
        f"<details><summary>{escape(words('plan.title'))}</summary>"
        f"{plan(words, portrait.prompt)}</details>"
    )


def _told(words: Words, portrait: PortraitAnswer) -> str:
    told = ""
    if portrait.downgrades:
        told += notice(words("result.downgraded"), list(portrait.downgrades), kind="small warn")
    if portrait.warnings:
        told += notice(words("result.warned"), list(portrait.warnings), kind="small")
    return told


def _cost(words: Words, usage: UsageAnswer) -> str:
    note = words("cost.evaluations_note", steps=usage.steps)
    if usage.shallow_evaluations:
        note = words("cost.shallow_note", steps=usage.steps, shallow=usage.shallow_evaluations)
    device = (
        words("cost.device_note", size=human_bytes(usage.peak_device_bytes))
        if usage.peak_device_bytes
        else ""
    )
    baseline = usage.baseline_tokens
    figures = (
        (
            human_seconds(usage.seconds),
            "seconds",
            words("cost.painting_note", seconds=human_seconds(usage.denoiser_seconds)),
        ),
        (
            str(usage.tokens),
            "tokens",
            words("cost.tokens_note", baseline=baseline) if baseline > usage.tokens else "",
        ),
        (str(usage.denoiser_evaluations), "evaluations", note),
        (str(usage.positions_computed), "positions", _reused(words, usage.positions_reused)),
        (str(usage.projections_computed), "projections", _reused(words, usage.projections_reused)),
        (str(usage.faces_analysed), "faces", _reused(words, usage.faces_reused)),
        (human_bytes(usage.peak_memory_bytes), "memory", device),
        *_charged(usage),
    )
    cells = "".join(
        f'<div class="lm-figure" data-figure="{key}"><b>{escape(figure)}</b>'
        f"<span>{escape(words(f'cost.{key}'))}</span><small>{escape(note)}</small></div>"
        for figure, key, note in figures
    )
    return (
        f"<section><h3>{escape(words('cost.title'))}</h3>"
        f'<div class="lm-figures">{cells}</div></section>'
    )


def _charged(usage: UsageAnswer) -> list[tuple[str, str, str]]:
    """What it is charged with, where the server has prices."""
    if usage.cost is None or usage.cost.amount == "0":
        return []
    return [(usage.cost.amount, "charged", usage.cost.currency)]


def _reused(words: Words, count: int) -> str:
    return words("cost.reused_note", reused=count) if count else ""


def _trace(words: Words, trace: Sequence[TraceEntry]) -> str:
    seconds: dict[str, float] = {}
    for entry in trace:
        seconds[str(entry.stage)] = seconds.get(str(entry.stage), 0.0) + entry.seconds
    longest = max(seconds.values(), default=0.0)
    if longest <= 0:
        return ""
    rows = "".join(
        f'<div class="lm-stage"><span>'
        f"{escape(words(f'stage.{stage}') if words.has(f'stage.{stage}') else stage)}</span>"
        f'<span class="lm-bar"><i style="width:{spent / longest:.1%}"></i></span>'
        f"<b>{human_seconds(spent)} s</b></div>"
        for stage, spent in seconds.items()
    )
    return f'<section class="lm-trace"><h3>{escape(words("cost.trace"))}</h3>{rows}</section>'


def _decisions(words: Words, decisions: Sequence[str]) -> str:
    if not decisions:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in decisions)
    return (
        f"<details><summary>{escape(words('result.decided'))}</summary>"
        f'<ul lang="en">{lines}</ul></details>'
    )
