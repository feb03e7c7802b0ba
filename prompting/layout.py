"""In which order a prompt says things, and what is said first when tokens are short: data."""

import functools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from pydantic import BaseModel, ConfigDict

from prompting.errors import suggestion
from prompting.schema import Attributes

SUBJECT: Final = "subject"  # who is drawn, and how much of them: these attributes in one segment
IN_SUBJECT: Final = ("gender", "ancestry", "framing")
SEGMENT_NAMES: Final = frozenset({SUBJECT, *Attributes.model_fields} - {*IN_SUBJECT, "exclude"})


@dataclass(frozen=True)
class Layout:
    """The names of a prompt's segments in the order in which they are said.

    version: which order this is, for whoever remembers what was made under another one.
    Raises ValueError unless every name of SEGMENT_NAMES stands there once.
    """

    order: tuple[str, ...]
    version: int

    def __post_init__(self) -> None:
        check_names(self.order)

    @classmethod
    def default(cls) -> "Layout":
        """The order of layout.toml."""
        file = _file()
        return cls(file.order, file.version)

    def place(self, segment: str) -> int:
        """Where a segment stands, from 0."""
        return self.order.index(segment)


def priority() -> tuple[str, ...]:
    """Which segments are seated first when tokens are short."""
    return _file().priority


def check_names(names: Sequence[str]) -> None:
    """Raises ValueError unless every segment is named once."""
    for name in names:
        if name not in SEGMENT_NAMES:
            raise ValueError(f'unknown segment "{name}"{suggestion(name, sorted(SEGMENT_NAMES))}')
        if names.count(name) > 1:
            raise ValueError(f'the segment "{name}" is named twice: name it once')
    if missing := sorted(SEGMENT_NAMES - set(names)):
        raise ValueError(f"segments without a place: {', '.join(missing)}")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    version: int
    order: tuple[str, ...]
    priority: tuple[str, ...]


@functools.cache
def _file() -> _File:
    source = resources.files("prompting").joinpath("layout.toml")
    file = _File.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
    check_names(file.priority)
    return file
