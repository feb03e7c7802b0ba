"""Counting tokens, under whatever tokenizer the model has."""

from collections.abc import Sequence
from typing import Protocol


class Tokenizer(Protocol):
    """Whatever encodes text as the tokenizers of transformers do, which are not imported here."""

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> Sequence[int]:
        """Token ids of a text."""


def count_tokens(text: str, tokenizer: Tokenizer | None) -> int:
    """Tokens of a text without start and end marks; words where there is no tokenizer."""
    if tokenizer is None:
        return len(text.split())
    return len(tokenizer.encode(text, add_special_tokens=False))
