"""Words → few tokens: the schema of a portrait, its lexicon, and the prompt made from both."""

from prompting.composition import Segment, structured_prompt, wordy_prompt
from prompting.errors import (
    InvalidAttribute,
    PromptingError,
    PromptTooLong,
    UnknownAttribute,
    UnreadableText,
)
from prompting.optimizer import DEFAULT_BUDGET, optimize
from prompting.plan import PromptPlan
from prompting.schema import AgeRange, Attributes
from prompting.settings import parse_setting, parse_settings
from prompting.tokens import Tokenizer, count_tokens

__all__ = [
    "DEFAULT_BUDGET",
    "AgeRange",
    "Attributes",
    "InvalidAttribute",
    "PromptPlan",
    "PromptTooLong",
    "PromptingError",
    "Segment",
    "Tokenizer",
    "UnknownAttribute",
    "UnreadableText",
    "count_tokens",
    "optimize",
    "parse_setting",
    "parse_settings",
    "structured_prompt",
    "wordy_prompt",
]
