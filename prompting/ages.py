"""Ages: a number of years, or a range that may have a shorter name ("mid 30s")."""

import re
from dataclasses import dataclass
from typing import Final

from prompting.lexicon import fold

YOUNGEST_YEARS: Final = 1
OLDEST_YEARS: Final = 120
# Which years of a decade a word means.
_PARTS: Final = {"": (0, 9), "early ": (0, 3), "mid ": (4, 6), "late ": (7, 9)}
_DECADE: Final = re.compile(r"(early|mid|late)?[- ]?([1-9]0)'?s")
_YEARS: Final = re.compile(r"([0-9]{1,3})(?: ?(?:-|–|to|~) ?([0-9]{1,3}))?")


@dataclass(frozen=True, order=True)
class AgeRange:
    """An age between two, in years, both included."""

    youngest: int
    oldest: int

    def __str__(self) -> str:
        return f"{self.youngest}-{self.oldest}"


def age_of(value: int | str) -> int | AgeRange:
    """A number of years, a range "30-40", or a decade "30s", "mid 30s"; ValueError otherwise."""
    expected = f'a whole number from {YOUNGEST_YEARS} to {OLDEST_YEARS} or a range such as "30-40"'
    word = fold(str(value))
    if decade := _DECADE.fullmatch(word):
        first, last = _PARTS[f"{decade[1]} " if decade[1] else ""]
        years = [int(decade[2]) + first, int(decade[2]) + last]
    elif matched := _YEARS.fullmatch(word):
        years = [int(part) for part in matched.groups() if part is not None]
    else:
        raise ValueError(f'takes {expected}, not "{word[:80]}"')
    if not all(YOUNGEST_YEARS <= year <= OLDEST_YEARS for year in years):
        raise ValueError(f"{word} is out of range: it takes {expected}")
    if years[0] > years[-1]:
        raise ValueError(f'the range {word} runs backwards: did you mean "{years[1]}-{years[0]}"?')
    return years[0] if years[0] == years[-1] else AgeRange(years[0], years[1])


def decade_of(age: AgeRange) -> str | None:
    """The name of a range that is a decade or a part of one: "30s", "mid 30s"."""
    decade = age.youngest // 10 * 10
    within = (age.youngest - decade, age.oldest - decade)
    part = next((part for part, years in _PARTS.items() if years == within), None)
    return None if part is None or not decade else f"{part}{decade}s"
