"""The words of a report in its languages, as data."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("en", "zh")


def read_words(file: Path) -> dict[str, dict[str, str]]:
    """By language, every word by its table and key: `"page.theme"`."""
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        language: {
            f"{table}.{key}": said[index]
            for table, words in tables.items()
            for key, said in words.items()
        }
        for index, language in enumerate(LANGUAGES)
    }
