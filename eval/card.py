"""The card of a bundle, as `card.json` keeps it: figures beside their bars and ceilings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.files import complaint, write_whole

CARD_FILE = "card.json"
PAGE_FILE = "card.md"
SCHEMA = 1

Wanted = Literal["at least", "at most"]
Unit = Literal["", "share", "dB", "s", "MiB", "x", "°"]


class CardNotFound(ValueError):
    """There is no card where one was looked for."""


class CardInvalid(ValueError):
    """The file is no card this version can read."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figure(_Part):
    """One measured number.

    value in `unit`; interval: its 95 % confidence interval; bar: what it must reach, None where
    nothing is asked; ceiling: what the same measurement gives on real pictures; count: how many
    independent units (people, pairs, pictures) it rests on.
    """

    key: str
    title: str
    value: float
    unit: Unit = ""
    digits: Annotated[int, Field(ge=0, le=6)] = 3
    interval: tuple[float, float] | None = None
    bar: float | None = None
    wanted: Wanted = "at least"
    ceiling: float | None = None
    count: Annotated[int, Field(ge=0)] = 0
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the value reaches its bar; None where there is no bar."""
        return None if self.bar is None else self._reaches(self.value, self.bar)

    @property
    def within_reach(self) -> bool:
        """Whether a perfect model would reach the bar: False where even the ceiling does not."""
        if self.bar is None or self.ceiling is None:
            return True
        return self._reaches(self.ceiling, self.bar)

    def _reaches(self, value: float, bar: float) -> bool:
        return value >= bar if self.wanted == "at least" else value <= bar


class Table(_Part):
    """Details: cells as text, the way they are to be read."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Sample(_Part):
    """A sample sheet: the file beside the card, and what it shows."""

    file: str
    title: str


class Chapter(_Part):
    """What belongs together: how it was measured, its figures, tables and sample sheets."""

    key: str
    title: str
    method: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    samples: tuple[Sample, ...] = ()


class Card(_Part):
    """Everything measured of one bundle.

    digest: of the bundle's files, so that a card can be told from that of other weights;
    quick: whether the small extent was measured, whose figures are rough; seconds: it took.
    """

    schema_version: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)] = SCHEMA
    bundle: str
    title: str
    digest: str
    measured_at: str  # UTC, ISO 8601
    quick: bool
    command: str
    machine: str
    seconds: float
    chapters: tuple[Chapter, ...]

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

    def figures(self) -> Iterator[Figure]:
        """Every figure, in the card's order."""
        for chapter in self.chapters:
            yield from chapter.figures

    def figure(self, key: str) -> Figure:
        """The figure of that key. Raises KeyError."""
        for figure in self.figures():
            if figure.key == key:
                return figure
        raise KeyError(key)

    @property
    def missed(self) -> tuple[Figure, ...]:
        """The figures under their bars."""
        return tuple(figure for figure in self.figures() if figure.holds is False)

    def write(self, directory: Path) -> Path:
        """Write card.json into a directory, whole or not at all; gives its path."""
        text = self.model_dump_json(indent=2, by_alias=True) + "\n"
        return write_whole(directory / CARD_FILE, text)


def read_card(path: Path) -> Card:
    """A card from its file or from the directory of it. Raises CardNotFound, CardInvalid."""
    file = path / CARD_FILE if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CardNotFound(
            f"{file} does not exist; measure it with: limner models card NAME --measure"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CardInvalid(f"{file} cannot be read: {error}; measure it anew") from error
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        raise CardInvalid(
            f"{file} is no card of schema {SCHEMA}: {complaint(error)}; measure it anew"
        ) from error
