"""What the optimiser decided."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prompting.composition import Segment

Fate = Literal["kept", "dropped", "removed", "negative"]


@dataclass(frozen=True)
class Decision:
    """What became of words that were asked for.

    attribute: the segment they belong to, "exclude", or "filler".
    fate: kept in the prompt; moved to the negative one; dropped, though they ask for something;
    or removed, for they ask for nothing that is not said anyway.
    said: the words in the prompt, which several decisions may share; tokens: what these cost.
    """

    attribute: str
    words: str
    fate: Fate
    said: str = ""
    tokens: int = 0
    reason: str = ""


@dataclass(frozen=True)
class PromptPlan:
    """A prompt that fits its budget, and the account of how it came to be.

    tokens, baseline_tokens: without start and end marks; the baseline is the text that was given,
    or a sentence that says the same (composition.wordy_prompt), or both.
    kept, dropped: the words of everything asked for, by whether the prompts say it; an exclusion
    reads "no …". removed: filler. All three follow from decisions (`of_decisions`).
    layout_version: of the layout whose order the segments have; 0 where there is none.
    """

    prompt: str
    negative_prompt: str
    segments: tuple[Segment, ...]
    tokens: int
    baseline_tokens: int
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    removed: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    layout_version: int = 0

    @classmethod
    def of_decisions(
        cls,
        segments: tuple[Segment, ...],
        decisions: tuple[Decision, ...],
        *,
        prompt: str,
        negative_prompt: str,
        tokens: int,
        baseline_tokens: int,
        layout_version: int,
    ) -> "PromptPlan":
        """A plan whose kept, dropped and removed follow from its decisions."""
        negated = [f"no {d.said}" for d in decisions if d.fate == "negative"]
        return cls(
            prompt=prompt,
            negative_prompt=negative_prompt,
            segments=segments,
            tokens=tokens,
            baseline_tokens=baseline_tokens,
            kept=_once([*(segment.text for segment in segments), *negated]),
            dropped=_once(d.words for d in decisions if d.fate == "dropped"),
            removed=_once(d.words for d in decisions if d.fate == "removed"),
            decisions=decisions,
            layout_version=layout_version,
        )


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
