"""The typed schema of a portrait: what `--set`, the API and the A/B runs take."""

from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from prompting import values
from prompting.ages import AgeRange
from prompting.contradictions import contradiction
from prompting.errors import (
    ContradictoryAttributes,
    InvalidAttribute,
    PromptingError,
    UnknownAttribute,
)
from prompting.lexicon import fold, lexicon

CLOSED: Final = ("gender", "expression", "hair_length", "light", "view", "framing")
ACCESSORIES: Final = ("glasses", "beard", "hat", "earrings", "jewellery", "makeup")
SEVERAL: Final = ("marks", "lens")  # known values and free ones, as many as wished
REPEATABLE: Final = (*SEVERAL, "phrases", "exclude")


def _written_age(age: int | AgeRange | None) -> int | str | None:
    """An age as JSON has it: a range is a word again."""
    return str(age) if isinstance(age, AgeRange) else age


Age = Annotated[int | AgeRange | None, BeforeValidator(values.age), PlainSerializer(_written_age)]
Phrases = Annotated[tuple[str, ...], BeforeValidator(values.phrases)]


class Attributes(BaseModel):
    """What a portrait should show; what is None is left to the picture.

    Accessories take true, false ("none"), or a word that says which one ("round"). Closed
    vocabularies (CLOSED) take the lexicon's values by any of their names, English or Chinese; the
    others take free words up to MAX_WORD_CHARACTERS. REPEATABLE ones take one phrase or several.
    Keys have other spellings, too ("headwear"): lexicon/README.md, `called`.
    Raises UnknownAttribute, InvalidAttribute, ContradictoryAttributes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gender: Annotated[str | None, BeforeValidator(values.closed("gender"))] = None
    ancestry: Annotated[str | None, BeforeValidator(values.free("ancestry"))] = None
    age: Age = None
    profession: Annotated[str | None, BeforeValidator(values.free("profession"))] = None
    expression: Annotated[str | None, BeforeValidator(values.closed("expression"))] = None
    eyes: Annotated[str | None, BeforeValidator(values.free("eyes"))] = None
    hair: Annotated[str | None, BeforeValidator(values.free("hair"))] = None
    hair_length: Annotated[str | None, BeforeValidator(values.closed("hair_length"))] = None
    hair_style: Annotated[str | None, BeforeValidator(values.free("hair_style"))] = None
    glasses: Annotated[bool | str | None, BeforeValidator(values.accessory("glasses"))] = None
    beard: Annotated[bool | str | None, BeforeValidator(values.accessory("beard"))] = None
    hat: Annotated[bool | str | None, BeforeValidator(values.accessory("hat"))] = None
    earrings: Annotated[bool | str | None, BeforeValidator(values.accessory("earrings"))] = None
    jewellery: Annotated[bool | str | None, BeforeValidator(values.accessory("jewellery"))] = None
    makeup: Annotated[bool | str | None, BeforeValidator(values.accessory("makeup"))] = None
    marks: Annotated[tuple[str, ...], BeforeValidator(values.several("marks"))] = ()
    clothing: Annotated[str | None, BeforeValidator(values.free("clothing"))] = None
    background: Annotated[str | None, BeforeValidator(values.free("background"))] = None
    light: Annotated[str | None, BeforeValidator(values.closed("light"))] = None
    view: Annotated[str | None, BeforeValidator(values.closed("view"))] = None
    framing: Annotated[str | None, BeforeValidator(values.closed("framing"))] = None
    lens: Annotated[tuple[str, ...], BeforeValidator(values.several("lens"))] = ()
    style: Annotated[str | None, BeforeValidator(values.free("style"))] = None
    phrases: Phrases = ()
    exclude: Phrases = ()

    def __init__(self, **given: object) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise _translated(error) from error

    @model_validator(mode="before")
    @classmethod
    def _by_its_key(cls, given: object) -> object:
        """Other spellings of keys give way to the keys."""
        if not isinstance(given, Mapping):
            return given
        keyed: dict[str, object] = {}
        for name, value in given.items():
            key = key_of(name)
            if key in keyed and keyed[key] != value:
                raise InvalidAttribute(key, f'is given twice, as "{key}" and as "{name}"')
            keyed[key] = value
        return keyed

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if found := contradiction(dict(self)):
            raise ContradictoryAttributes(*found)
        return self


def key_of(name: str) -> str:
    """The attribute that a key names, by any spelling; what names none comes back as it is."""
    if name in Attributes.model_fields:
        return name
    return lexicon().called.get(fold(name), name)


def _translated(error: ValidationError) -> PromptingError:
    """The first of pydantic's complaints in our own words."""
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ContradictoryAttributes | InvalidAttribute):
        return cause
    key = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return UnknownAttribute(key, Attributes.model_fields, lexicon().called)
    return InvalidAttribute(key, str(cause) if cause is not None else first["msg"])
