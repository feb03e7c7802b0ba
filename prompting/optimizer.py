"""`optimize`: attributes and free text → the prompt that says them within a budget of tokens."""

from collections.abc import Mapping, Sequence
from typing import Final

from prompting.composition import (
    PHRASE,
    SUBJECT,
    Segment,
    exclusions_of,
    joined,
    segments_of,
    spoken_as,
    wordy_prompt,
)
from prompting.errors import PromptTooLong
from prompting.lexicon import fold
from prompting.parser import Reading, read
from prompting.plan import PromptPlan
from prompting.schema import Attributes
from prompting.tokens import Tokenizer, count_tokens

DEFAULT_BUDGET: Final = 75  # CLIP's 77 positions less the start and end marks
# Who is seated first when seats are short; the subject always sits.
PRIORITY: Final = (
    SUBJECT, "age", "expression", "glasses", "beard", "hat", "hair", "earrings", "view",
    "profession", "clothing", "style", "background", "light", PHRASE,
)  # fmt: skip


def optimize(
    attributes: Attributes | Mapping[str, object] | None = None,
    text: str | None = None,
    tokenizer: Tokenizer | None = None,
    budget: int = DEFAULT_BUDGET,
) -> PromptPlan:
    """The prompt for what attributes and text ask for; with neither, "portrait of a person".

    Attributes win over the text where both speak of the same thing; the text's word is then listed
    as dropped. Over the budget, things are kept in the order of PRIORITY (phrases in the order
    given) as long as they fit, and the others listed as dropped; exclusions likewise. Without a
    tokenizer words are counted. The budget is in tokens without start and end marks.
    Raises UnknownAttribute, InvalidAttribute, UnreadableText, PromptTooLong.
    """
    given = attributes if isinstance(attributes, Attributes) else Attributes(**(attributes or {}))
    reading = read(text or "")
    asked, overruled = _merged(given, reading)
    segments = _unique((*segments_of(asked), *(Segment(PHRASE, p) for p in reading.phrases)))
    exclusions = _unique(
        [Segment("exclude", words) for words in (*exclusions_of(asked), *reading.exclude)]
    )
    kept, over = _fitted(segments, tokenizer, budget)
    excluded, not_excluded = _fitted(exclusions, tokenizer, budget)
    prompt = joined(segment.text for segment in kept)
    return PromptPlan(
        prompt=prompt,
        negative_prompt=joined(segment.text for segment in excluded),
        segments=kept,
        tokens=count_tokens(prompt, tokenizer),
        baseline_tokens=_baseline(given, text, tokenizer),
        kept=(*(s.text for s in kept), *(f"no {s.text}" for s in excluded)),
        dropped=(*overruled, *(s.text for s in over), *(f"no {s.text}" for s in not_excluded)),
    )


def _merged(given: Attributes, reading: Reading) -> tuple[Attributes, tuple[str, ...]]:
    """The attributes with what the text adds, and the text's values that they overrule."""
    read_attributes = Attributes(**reading.values)
    added = {key: getattr(read_attributes, key) for key in reading.values}
    overruled = {
        key: value
        for key, value in added.items()
        if getattr(given, key) is not None and getattr(given, key) != value
    }
    chosen = {key: value for key, value in added.items() if getattr(given, key) is None}
    words = tuple(
        f"no {spoken_as(key, True)}" if value is False else spoken_as(key, value)
        for key, value in overruled.items()
    )
    return given.model_copy(update=chosen), words


def _unique(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Each wording once, where it came first."""
    first: dict[str, Segment] = {}
    for segment in segments:
        first.setdefault(fold(segment.text), segment)
    return tuple(first.values())


def _fitted(
    segments: Sequence[Segment], tokenizer: Tokenizer | None, budget: int
) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """What fits the budget, in the order of saying, and what does not.

    Raises PromptTooLong if the subject alone does not fit.
    """
    rank = {name: place for place, name in enumerate(PRIORITY)}
    by_priority = sorted(
        range(len(segments)), key=lambda i: rank.get(segments[i].attribute, len(rank))
    )
    kept: set[int] = set()
    for index in by_priority:
        seated = joined(segments[i].text for i in sorted(kept | {index}))
        tokens = count_tokens(seated, tokenizer)
        if tokens <= budget:
            kept.add(index)
        elif segments[index].attribute == SUBJECT:
            raise PromptTooLong(tokens, budget, seated)
    return (
        tuple(segment for index, segment in enumerate(segments) if index in kept),
        tuple(segment for index, segment in enumerate(segments) if index not in kept),
    )


def _baseline(given: Attributes, text: str | None, tokenizer: Tokenizer | None) -> int:
    """Tokens of what a user without the optimiser would have sent."""
    said = given != Attributes(exclude=given.exclude) or not text
    parts = [wordy_prompt(given)] if said else []
    return count_tokens(joined([*parts, *([text] if text else [])]), tokenizer)
