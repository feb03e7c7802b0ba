"""prompt: what is said, and what it costs in tokens."""

from __future__ import annotations

from dataclasses import replace

from fusion.request import Words
from fusion.trace import Notes
from prompting import PromptPlan, PromptTooLong, Tokenizer, count_tokens, optimize


def write_prompt(words: Words, tokenizer: Tokenizer, positions: int, notes: Notes) -> PromptPlan:
    """The prompt as given, or made of attributes and text.

    positions: tokens the text encoder takes, start and end marks included (77).
    Raises PromptTooLong: a prompt is never cut in silence.
    """
    budget = positions - 2
    if words.given:
        plan = _as_given(words, tokenizer)
        notes.decided("prompt: used as given")
        if words.attributes != type(words.attributes)():
            notes.decided("attributes: not said, for a prompt was given")
    else:
        plan = optimize(words.attributes, words.text, tokenizer, budget)
        notes.decided(f'prompt: "{plan.prompt}"')
        if plan.dropped:
            why = "overruled by an attribute, or no room" if words.text else "no room"
            notes.downgraded(f"prompt: left out {', '.join(plan.dropped)}: {why}")
        if words.negative_given:
            plan = replace(plan, negative_prompt=words.negative_prompt)
    for text in (plan.prompt, plan.negative_prompt):
        tokens = count_tokens(text, tokenizer)
        if tokens > budget:
            raise PromptTooLong(tokens, budget, text)
    return plan


def _as_given(words: Words, tokenizer: Tokenizer) -> PromptPlan:
    tokens = count_tokens(words.prompt, tokenizer)
    return PromptPlan(
        prompt=words.prompt,
        negative_prompt=words.negative_prompt,
        segments=(),
        tokens=tokens,
        baseline_tokens=tokens,
        kept=(words.prompt,) if words.prompt else (),
        dropped=(),
    )
