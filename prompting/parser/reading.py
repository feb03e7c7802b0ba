"""What a free text asks for, and the sheet on which the readers of a language note it down."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from prompting.lexicon import WORN, fold, lexicon
from prompting.schema import ACCESSORIES, OLDEST_YEARS, YOUNGEST_YEARS


@dataclass(frozen=True)
class Reading:
    """Attributes as Attributes takes them, what must not be seen, and what is none of both."""

    values: Mapping[str, str | bool]
    phrases: tuple[str, ...]
    exclude: tuple[str, ...]


@dataclass
class Notes:
    """Collects a reading; whatever cannot be an attribute stays a phrase, so nothing is lost."""

    values: dict[str, str | bool] = field(default_factory=dict)
    phrases: dict[str, str] = field(default_factory=dict)  # folded → as written
    exclude: dict[str, str] = field(default_factory=dict)

    def ask(self, attribute: str, value: str, words: str) -> None:
        """An attribute; a second, other value of the same one is kept as the words it came in."""
        taken: str | bool = True if attribute in ACCESSORIES and value == WORN else value
        if self.values.setdefault(attribute, taken) != taken:
            self.keep(words)

    def refuse(self, words: str) -> None:
        """Something that must not be seen."""
        attribute, _ = lexicon().heard.get(fold(words), ("", ""))
        if attribute not in ACCESSORIES or self.values.setdefault(attribute, False) is not False:
            self.exclude.setdefault(fold(words), words)

    def keep(self, words: str) -> None:
        """Words that say nothing the lexicon knows."""
        self.phrases.setdefault(fold(words), words)

    def reading(self) -> Reading:
        return Reading(self.values, tuple(self.phrases.values()), tuple(self.exclude.values()))


def years_of(aged: re.Match[str]) -> str | None:
    """An age as the schema takes it; None if nobody can be that old."""
    numbers = [int(number) for number in aged.groups() if number is not None]
    possible = all(YOUNGEST_YEARS <= number <= OLDEST_YEARS for number in numbers)
    return "-".join(map(str, numbers)) if possible and numbers == sorted(numbers) else None
