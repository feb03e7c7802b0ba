"""`optimize`: attributes and free text → the shortest prompt that says them within a budget."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from prompting.composition import (
    PHRASE,
    SEPARATOR,
    Saying,
    exclusions_of,
    joined,
    sayings_of,
    wordy_prompt,
)
from prompting.errors import InvalidAttribute
from prompting.layout import Layout
from prompting.lexicon import fold, speech
from prompting.merging import Merged, merge
from prompting.parser import read
from prompting.plan import Decision, PromptPlan
from prompting.schema import Attributes
from prompting.tokens import Tokenizer, count_tokens
from prompting.weights import without_brackets
from prompting.wording import Seating, Wording, fitted, worded

DEFAULT_BUDGET: Final = 75  # CLIP's 77 positions less the start and end marks
NO_ROOM: Final = "no room in the budget of tokens"


def optimize(
    attributes: Attributes | Mapping[str, object] | None = None,
    text: str | None = None,
    tokenizer: Tokenizer | None = None,
    budget: int = DEFAULT_BUDGET,
    *,
    layout: Layout | None = None,
    negative: str | None = None,
) -> PromptPlan:
    """The shortest prompt for what attributes and text ask for; with neither, of a person.

    Each thing is said in the phrasing of the fewest tokens, in the layout's order. Attributes win
    over the text where both speak of the same thing; the text's word is then listed as dropped.
    Over the budget, commas go first; then things are kept by the priority of layout.toml (phrases
    in the order given) as long as they fit, and the others listed as dropped; exclusions likewise.
    negative: what the negative prompt says before the exclusions; None: the lexicon's default.
    Without a tokenizer words are counted. The budget is in tokens without start and end marks.
    Raises UnknownAttribute, InvalidAttribute, ContradictoryAttributes, UnreadableText,
    PromptTooLong.
    """
    layout = layout or Layout.default()
    given = attributes if isinstance(attributes, Attributes) else Attributes(**(attributes or {}))
    reading = read(text or "")
    merged = merge(given, reading)
    asked = merged.attributes
    phrases = (Saying(PHRASE, (phrase,)) for phrase in reading.phrases)
    wordings = worded((*sayings_of(asked), *phrases), merged.words, layout, tokenizer)
    seating = fitted(wordings, tokenizer, budget)
    prompt = seating.prompt
    negative_prompt, negated = _negative(negative, exclusions_of(asked), prompt, tokenizer, budget)
    decisions = (
        *(decision for one in seating.kept for decision in _kept(one, merged, tokenizer)),
        *(decision for one in seating.over for decision in _dropped(one)),
        *negated,
        *merged.decisions,
        *(Decision("filler", words, "removed", reason=why) for words, why in reading.removed),
        *_commas(seating),
    )
    return PromptPlan.of_decisions(
        tuple(wording.segment for wording in seating.kept),
        decisions,
        prompt=prompt,
        negative_prompt=negative_prompt,
        tokens=count_tokens(prompt, tokenizer),
        baseline_tokens=_baseline(given, text, tokenizer),
        layout_version=layout.version,
    )


def _kept(wording: Wording, merged: Merged, tokenizer: Tokenizer | None) -> Iterable[Decision]:
    segment = wording.segment
    tokens = count_tokens(segment.text, tokenizer)
    for saying in wording.sayings:
        words = merged.words.get(saying.attribute) or saying.phrasings[0]
        yield Decision(saying.attribute, words, "kept", segment.text, tokens)


def _commas(seating: Seating) -> Iterable[Decision]:
    if seating.separator != SEPARATOR:
        yield Decision("filler", "commas", "removed", reason="they would leave no room for words")


def _dropped(wording: Wording) -> Iterable[Decision]:
    for saying in wording.sayings:
        yield Decision(saying.attribute, saying.phrasings[0], "dropped", reason=NO_ROOM)


def _negative(
    given: str | None,
    exclusions: Iterable[str],
    prompt: str,
    tokenizer: Tokenizer | None,
    budget: int,
) -> tuple[str, tuple[Decision, ...]]:
    """The negative prompt: the default or given words, then what was excluded, each once.

    The exclusions are seated first. Default words that the prompt itself asks for are left out.
    """
    if given is None:
        said = set(fold(prompt).replace(",", " ").split())
        base = [term for term in speech().negative if not set(fold(term).split()) <= said]
    else:
        base = [term.strip() for term in _negative_words(given).split(",") if term.strip()]
    asked = {fold(words): words for words in exclusions}
    terms = {**{fold(term): term for term in base}, **asked}
    seated: set[str] = set()
    decisions: list[Decision] = []
    for term in (*asked, *(term for term in terms if term not in asked)):
        wider = joined(terms[one] for one in terms if one in seated | {term})
        words = terms[term]
        if count_tokens(wider, tokenizer) <= budget:
            seated.add(term)
            if term in asked or given is not None:
                tokens = count_tokens(words, tokenizer)
                decisions.append(Decision("exclude", f"no {words}", "negative", words, tokens))
        else:
            decisions.append(Decision("exclude", f"no {words}", "dropped", reason=NO_ROOM))
    return joined(terms[one] for one in terms if one in seated), tuple(decisions)


def _negative_words(given: str) -> str:
    try:
        return " ".join(without_brackets(unicodedata.normalize("NFKC", given), ",").split())
    except ValueError as error:
        raise InvalidAttribute("negative", str(error)) from error


def _baseline(given: Attributes, text: str | None, tokenizer: Tokenizer | None) -> int:
    """Tokens of what a user without the optimiser would have sent."""
    said = given != Attributes(exclude=given.exclude) or not text
    parts = [wordy_prompt(given)] if said else []
    return count_tokens(joined([*parts, *([text] if text else [])]), tokenizer)
