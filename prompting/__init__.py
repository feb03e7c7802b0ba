"""Words → few tokens: the schema of a portrait, its lexicon, and the prompt made from both."""

from prompting.ages import AgeRange
from prompting.catalogue import AttributeDescription, describe_attributes
from prompting.composition import (
    Saying,
    Segment,
    joined,
    sayings_of,
    structured_prompt,
    wordy_prompt,
)
from prompting.errors import (
    ContradictoryAttributes,
    InvalidAttribute,
    PromptingError,
    PromptTooLong,
    UnknownAttribute,
    UnreadableText,
)
from prompting.layout import Layout
from prompting.optimizer import DEFAULT_BUDGET, optimize
from prompting.plan import Decision, Fate, PromptPlan
from prompting.schema import Attributes
from prompting.settings import parse_setting, parse_settings
from prompting.tokens import Tokenizer, count_tokens

__all__ = [
    "DEFAULT_BUDGET",
    "AgeRange",
    "AttributeDescription",
    "Attributes",
    "ContradictoryAttributes",
    "Decision",
    "Fate",
    "InvalidAttribute",
    "Layout",
    "PromptPlan",
    "PromptTooLong",
    "PromptingError",
    "Saying",
    "Segment",
    "Tokenizer",
    "UnknownAttribute",
    "UnreadableText",
    "count_tokens",
    "describe_attributes",
    "joined",
    "optimize",
    "parse_setting",
    "parse_settings",
    "sayings_of",
    "structured_prompt",
    "wordy_prompt",
]
