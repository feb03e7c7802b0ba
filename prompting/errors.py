"""What can be wrong with words.

    ValueError
    └── PromptingError
        ├── UnknownAttribute        a key that no attribute has
        ├── InvalidAttribute        a value that its attribute cannot take
        ├── ContradictoryAttributes two attributes that cannot both be true
        ├── UnreadableText          a free text that is too long, or asks for what is not offered
        └── PromptTooLong           not even the least that must be said fits the budget

Each message says what was wrong, what was expected and what to do.
"""

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType


class PromptingError(ValueError):
    """Base of every error of this package; bad input of the user, never a fault of the program."""


class UnknownAttribute(PromptingError):
    """A key that no attribute has; names the nearest one."""

    def __init__(
        self, key: str, known: Iterable[str], called: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """called: other spellings of keys, each with its key."""
        known = tuple(known)
        near = nearest(key, (*known, *called))
        self.key = key
        self.nearest = None if near is None else called.get(near, near)
        meant = "" if near is None else f': did you mean "{self.nearest}"?'
        super().__init__(f'unknown attribute "{shown(key)}"{meant} (known: {", ".join(known)})')


class InvalidAttribute(PromptingError):
    """A value that its attribute cannot take; says what it takes, and the nearest valid value."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class ContradictoryAttributes(PromptingError):
    """Two attributes that cannot both be true of one portrait."""

    def __init__(self, first: str, second: str, attribute: str) -> None:
        super().__init__(
            f'"{shown(first)}" and "{shown(second)}" contradict each other: '
            f'leave out one of them, for instance "{attribute}"'
        )
        self.first = first
        self.second = second
        self.attribute = attribute


class UnreadableText(PromptingError):
    """A free text that is too long to read, or uses syntax that is not offered."""


class PromptTooLong(PromptingError):
    """Not even the least that must be said fits the budget."""

    def __init__(self, tokens: int, budget: int, minimum: str) -> None:
        super().__init__(
            f'"{shown(minimum)}" is {tokens} tokens long and the budget is {budget}: '
            "say less, or raise the budget"
        )
        self.tokens = tokens
        self.budget = budget


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like this one (difflib), or None if none is near."""
    matches = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """The tail of a message: the nearest known word and all that are known."""
    known = tuple(known)
    match = nearest(word, known)
    listed = ", ".join(known)
    return f': did you mean "{match}"? (known: {listed})' if match else f" (known: {listed})"


def shown(word: str, limit: int = 80) -> str:
    """A word as a message may show it: one line, cut to a length."""
    line = " ".join(word.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
