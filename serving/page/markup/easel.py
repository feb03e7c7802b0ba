"""The easel: empty, at work, stopped, or with a calm word about what did not work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from serving.page.client import ApiProblem
from serving.page.markup.pieces import data_url, escape, notice
from serving.page.words import Words

# How far along a stage begins, and denoise ends, as a share of the bar.
_BEGINS: Final = {
    "load": 0.01, "photos": 0.02, "analyse": 0.04, "blend": 0.07, "prompt": 0.08,
    "condition": 0.1, "prepare": 0.12, "denoise": 0.14, "decode": 0.92, "compose": 0.95,
    "verify": 0.97,
}  # fmt: skip
_PAINTED: Final = 0.92

_EMPTY: Final = """<svg viewBox="0 0 120 120" aria-hidden="true"><g fill="none"
 stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round">
 <rect x="30" y="18" width="60"
 height="66" rx="3"/><path d="M22 88h76M40 88l-10 24M80 88l10 24M60 88v18M60 18V8"/><path
 class="face" d="M60 34c-9 0-14 7-14 15 0 10 7 18 14 18s14-8 14-18c0-8-5-15-14-15zM40 84c2-9 10-13
 20-13s18 4 20 13"/></g></svg>"""


@dataclass(frozen=True)
class Progress:
    """How far a portrait is. stage: "" while it waits. preview: the picture on its way."""

    stage: str = ""
    attempt: int = 1
    step: int = 0
    steps: int = 0
    preview: bytes | None = None

    @property
    def share(self) -> float:
        """How much of all is done, 0 to 1."""
        begun = _BEGINS.get(self.stage, 0.0)
        if self.stage == "denoise" and self.steps:
            return begun + (_PAINTED - begun) * self.step / self.steps
        return begun


def empty(words: Words) -> str:
    """Nothing painted yet."""
    return (
        f'<div class="lm-easel empty">{_EMPTY}<h3>{escape(words("paint.empty_title"))}</h3>'
        f"<p>{escape(words('paint.empty'))}</p></div>"
    )


def at_work(words: Words, progress: Progress) -> str:
    """A portrait on its way: a picture where there is one, the stage in words, and a bar."""
    known = words.has(f"stage.{progress.stage}")
    stage = words(f"stage.{progress.stage}") if known else words("paint.queued")
    details = []
    if progress.stage == "denoise" and progress.steps:
        details.append(words("paint.step", step=progress.step, steps=progress.steps))
    if progress.attempt > 1:
        details.append(words("paint.again", attempt=progress.attempt))
    picture = (
        f'<img src="{data_url(progress.preview)}" alt="">'
        if progress.preview
        else f'<div class="lm-canvas">{_EMPTY}</div>'
    )
    percent = round(progress.share * 100, 1)
    return (
        f'<div class="lm-easel busy"><div class="lm-frame">{picture}</div>'
        f'<div class="lm-progress" role="status"><div class="lm-progress-text">'
        f"<b>{escape(stage)}</b><span>{escape(' · '.join(details))}</span></div>"
        f'<div class="lm-bar"><i style="width:{percent}%"></i></div></div></div>'
    )


def stopped(words: Words) -> str:
    """A portrait that was cancelled."""
    return (
        f'<div class="lm-easel empty">{_EMPTY}<h3>{escape(words("paint.stopped"))}</h3>'
        f"<p>{escape(words('paint.stopped_text'))}</p></div>"
    )


def failed(words: Words, problem: ApiProblem, inner: str = "", advice: str = "") -> str:
    """What did not work and what to do, the server's own words last. inner: safe HTML."""
    known = words.has(f"error.{problem.code}")
    code = problem.code if known else "unknown"
    detail = (
        f'<p class="lm-detail"><span>{escape(words("notice.detail"))}</span>'
        f"{escape(problem.body.message)}</p>"
    )
    said = notice(
        words(f"error.{code}"),
        [advice or words(f"error.{code}_advice")],
        inner=inner + detail,
    )
    return f'<div class="lm-easel told" data-code="{escape(problem.code)}">{said}</div>'
