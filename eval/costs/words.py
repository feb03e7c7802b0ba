"""The words of the report, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eval.costs.errors import QuestionRejected
from eval.report import LANGUAGES, read_words

WORDS_FILE: Final = Path(__file__).with_name("words.toml")


@dataclass(frozen=True)
class Speech:
    """A language's words by key. `speech("page.redrawn", drawings=3)` fills in what has braces."""

    language: str
    words: Mapping[str, str]

    def __call__(self, key: str, **filled: object) -> str:
        text = self.words[key]
        for name, value in filled.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def has(self, key: str) -> bool:
        """Whether there is such a word."""
        return key in self.words

    def stage(self, name: str) -> str:
        """A stage's name, or that of what belongs to none."""
        return self(f"stage.{name}") if name else self("page.no_stage")

    def value(self, text: str) -> str:
        """What a group has in common, where it may be nothing."""
        return text or self("page.nobody")


def speech_in(language: str) -> Speech:
    """Raises QuestionRejected for a language that is not spoken."""
    words = read_words(WORDS_FILE)
    if language not in words:
        raise QuestionRejected(f"--language takes {' or '.join(LANGUAGES)}, not {language!r}")
    return Speech(language, words[language])
