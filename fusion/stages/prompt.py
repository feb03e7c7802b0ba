"""prompt: what is said, and what it costs in tokens."""

from __future__ import annotations

from dataclasses import replace

from fusion.resolved import Words
from fusion.trace import Notes
from prompting import Layout, PromptPlan, PromptTooLong, Tokenizer, count_tokens, optimize


def write_prompt(
    words: Words,
    tokenizer: Tokenizer,
    positions: int,
    notes: Notes,
    layout: Layout | None = None,
) -> PromptPlan:
    """The prompt as given, or made of attributes and text.

    positions: tokens the text encoder takes, start and end marks included (77). layout: the order
    of what is said; None is the default one.
    Raises PromptTooLong: a prompt is never cut in silence.
    """
    budget = positions - 2
    if words.given:
        plan = _as_given(words, tokenizer)
        notes.decided("prompt: used as given")
        if words.attributes != type(words.attributes)():
            notes.decided("attributes: not said, for a prompt was given")
    else:
        negative = "" if words.negative_given else words.negative_prompt
        plan = optimize(
            words.attributes, words.text, tokenizer, budget, layout=layout, negative=negative
        )
        notes.decided(f'prompt: "{plan.prompt}"')
        if plan.dropped:
            why = "overruled by an attribute, or no room" if words.text else "no room"
            notes.downgraded(f"prompt: left out {', '.join(plan.dropped)}: {why}")
        if words.negative_given:
            plan = replace(plan, negative_prompt=words.negative_prompt or "")
    for text in (plan.prompt, plan.negative_prompt):
        tokens = count_tokens(text, tokenizer)
        if tokens > budget:
            raise PromptTooLong(tokens, budget, text)
    return plan


def _as_given(words: Words, tokenizer: Tokenizer) -> PromptPlan:
    tokens = count_tokens(words.prompt, tokenizer)
    return PromptPlan(
        prompt=words.prompt,
        negative_prompt=(words.negative_prompt or "") if words.negative_given else "",
        segments=(),
        tokens=tokens,
        baseline_tokens=tokens,
        kept=(words.prompt,) if words.prompt else (),
        dropped=(),
    )
