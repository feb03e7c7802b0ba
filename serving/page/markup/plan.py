"""What became of the words: the prompt, what it costs, and every decision."""

from __future__ import annotations

from serving.page.client import ApiProblem
from serving.page.markup.pieces import chip, escape, notice
from serving.page.words import Words
from serving.wire import PromptAnswer


def plan(words: Words, answer: PromptAnswer | None) -> str:
    """The prompt as it stands; None is for nothing said yet."""
    if answer is None:
        return f'<div class="lm-plan empty"><p>{escape(words("plan.empty"))}</p></div>'
    return (
        f'<div class="lm-plan" data-tokens="{answer.tokens}">'
        f'<div class="lm-plan-top"><span class="lm-eyebrow">{escape(words("plan.title"))}</span>'
        f"{_cost(words, answer)}</div>"
        f"{_prompt(words, answer)}{_decisions(words, answer)}</div>"
    )


def refused_plan(words: Words, problem: ApiProblem) -> str:
    """Words that no prompt can be made of."""
    known = words.has(f"error.{problem.code}")
    title = words(f"error.{problem.code}") if known else words("plan.failed")
    advice = words(f"error.{problem.code}_advice") if known else ""
    return notice(title, [advice, problem.body.message], kind="small")


def _cost(words: Words, answer: PromptAnswer) -> str:
    pieces = [chip(words("plan.tokens", tokens=answer.tokens), "strong")]
    if answer.baseline_tokens > answer.tokens:
        saved = round(100 * (1 - answer.tokens / answer.baseline_tokens))
        instead = words("plan.instead", baseline=answer.baseline_tokens)
        pieces.append(f'<span class="lm-faint">{escape(instead)}</span>')
        pieces.append(chip(words("plan.saved", percent=saved), "good"))
    return f'<span class="lm-plan-cost">{"".join(pieces)}</span>'


def _prompt(words: Words, answer: PromptAnswer) -> str:
    parts = [part.strip() for part in answer.prompt.split(",") if part.strip()]
    shown = "".join(f'<span class="lm-word">{escape(part)}</span>' for part in parts)
    if answer.negative_prompt:
        shown += (
            f'<span class="lm-word not"><em>{escape(words("plan.negative"))}</em> '
            f"{escape(answer.negative_prompt)}</span>"
        )
    return f'<p class="lm-prompt" lang="en">{shown}</p>'


def _decisions(words: Words, answer: PromptAnswer) -> str:
    lost = [d for d in answer.decisions if d.fate == "dropped"]
    warning = "".join(
        f'<p class="lm-dropped">{chip(words("fate.dropped"), "warn")} {escape(d.text)}'
        f'<span class="lm-faint"> {escape(d.reason)}</span></p>'
        for d in lost
    )
    if not answer.decisions:
        return warning
    rows = "".join(
        f'<tr><td>{escape(d.text)}</td><td class="fate {escape(d.fate)}">'
        f"{escape(words(f'fate.{d.fate}') if words.has(f'fate.{d.fate}') else d.fate)}</td>"
        f"<td>{escape(d.said)}</td><td>{escape(d.reason)}</td></tr>"
        for d in answer.decisions
    )
    return (
        f"{warning}<details><summary>{escape(words('plan.why'))}</summary>"
        f'<div class="lm-scroll"><table class="lm-table">{rows}</table></div></details>'
    )
