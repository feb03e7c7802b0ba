"""What the optimiser decided."""

from dataclasses import dataclass

from prompting.composition import Segment


@dataclass(frozen=True)
class PromptPlan:
    """A prompt that fits its budget, and the account of how it came to be.

    tokens, baseline_tokens: without start and end marks; the baseline is the text that was given,
    or a sentence that says the same (composition.wordy_prompt), or both.
    kept, dropped: the words of everything asked for, by whether the prompts say it; a dropped
    exclusion reads "no …".
    """

    prompt: str
    negative_prompt: str
    segments: tuple[Segment, ...]
    tokens: int
    baseline_tokens: int
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
