"""A suite: people × wishes × seeds, as data. Read from a TOML file, ours or the user's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from eval.ab.errors import SuiteInvalid
from eval.files import complaint
from prompting import Attributes, PromptingError

SUITES: Final = Path(__file__).with_name("suites")
TEMPLATE: Final = "photos-template"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DrawnPeople(_Table):
    """`[drawn]`: people of the drawn world, of the seeds that no training picture shows.

    first: number of the first among the held-out; wishes: looks asked for of each person; seeds:
    pictures of each wish.
    """

    people: Annotated[int, Field(ge=1, le=100_000)]
    first: Annotated[int, Field(ge=0)] = 200_000
    wishes: Annotated[int, Field(ge=1, le=1000)] = 1
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1


class PhotoPeople(_Table):
    """`[photos]`: a folder, relative to the suite's file; seeds: pictures of each prompt."""

    folder: Path
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1


class SuitePrompt(_Table):
    """`[[prompts]]`: attributes, free words, or both. style: as reports call its kind."""

    style: str = ""
    text: str = ""
    attributes: Mapping[str, str | int | bool] = Field(default_factory=dict)

    @field_validator("attributes")
    @classmethod
    def _known(cls, given: Mapping[str, str | int | bool]) -> Mapping[str, str | int | bool]:
        Attributes(**dict(given))
        return given

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text.strip() and not self.attributes:
            raise ValueError("give text, attributes, or both")
        return self


class Suite(_Table):
    """A suite as it is written. place: the folder of its file."""

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    title: str
    drawn: DrawnPeople | None = None
    photos: PhotoPeople | None = None
    prompts: tuple[SuitePrompt, ...] = ()
    place: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.drawn is None) == (self.photos is None):
            raise ValueError("a suite has people of one kind: give [drawn] or [photos]")
        if self.photos is not None and not self.prompts:
            raise ValueError("photographs need something to become: give one or more [[prompts]]")
        if self.drawn is not None and self.prompts:
            raise ValueError("drawn people wish for balanced looks by themselves: no [[prompts]]")
        return self

    def folder_of(self, photos: PhotoPeople) -> Path:
        """Where the photographs lie."""
        return self.place / photos.folder.expanduser()


def list_suites() -> tuple[str, ...]:
    """The names of our own suites; the template is no suite before it has photographs."""
    return tuple(sorted(f.stem for f in SUITES.glob("*.toml") if f.stem != TEMPLATE))


@dataclass(frozen=True)
class SuiteListing:
    """A suite of ours, for people who choose one."""

    name: str
    title: str
    people: int
    cases: int


def list_ab_suites() -> tuple[SuiteListing, ...]:
    """Our own suites, all of drawn people."""
    listed = []
    for name in list_suites():
        suite = read_suite(name)
        assert suite.drawn is not None
        people, each = suite.drawn.people, suite.drawn.wishes * suite.drawn.seeds
        listed.append(SuiteListing(name, suite.title, people, people * each))
    return tuple(listed)


def template() -> str:
    """The text of a suite of photographs, to be filled in."""
    return (SUITES / f"{TEMPLATE}.toml").read_text(encoding="utf-8")


def read_suite(name_or_file: str, beside: Path = Path()) -> Suite:
    """A suite of ours by name, or one in a file, relative to `beside`. Raises SuiteInvalid."""
    if name_or_file in list_suites():
        file = SUITES / f"{name_or_file}.toml"
    else:
        file = beside / Path(name_or_file).expanduser()
    if not file.is_file():
        known = ", ".join(list_suites())
        raise SuiteInvalid(f"there is no suite {name_or_file!r}: give {known}, or a TOML file")
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
        return Suite.model_validate(given).model_copy(update={"place": file.parent})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SuiteInvalid(f"{file} cannot be read: {error}") from error
    except PromptingError as error:
        raise SuiteInvalid(f"{file}: {error}") from error
    except ValidationError as error:
        raise SuiteInvalid(f"{file}: {complaint(error)}") from error
