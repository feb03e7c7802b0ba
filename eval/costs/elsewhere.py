"""What the same requests would cost at other services, by a file that people edit."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.costs.errors import ServicesRejected
from eval.files import complaint
from fusion import LedgerError, nano, priced

_SHIPPED: Final = Path(__file__).with_name("elsewhere.toml")
_MILLION: Final = 1_000_000
_Amount = Annotated[str, Field(min_length=1, max_length=32)]


class Service(BaseModel):
    """A service and its prices. picture: for a delivered one; text_tokens, image_tokens: for a
    million that go in, of which each photo is `tokens_per_photo`; noted: when they were read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=80)]
    source: Annotated[str, Field(min_length=1, max_length=300)]
    noted: datetime.date
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    picture: _Amount = "0"
    text_tokens: _Amount = "0"
    image_tokens: _Amount = "0"
    tokens_per_photo: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    note: Annotated[str, Field(max_length=300)] = ""


class _Services(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    service: Annotated[tuple[Service, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Part:
    """A product of the arithmetic. kind: picture, text_tokens, image_tokens; price: as written;
    cost: nano-units.
    """

    kind: str
    quantity: int
    price: str
    cost: int


@dataclass(frozen=True)
class Bill:
    """What a service would ask for."""

    service: Service
    parts: tuple[Part, ...]

    @property
    def cost(self) -> int:
        """In nano-units of the service's currency."""
        return sum(part.cost for part in self.parts)


def shipped_services() -> str:
    """The file that ships, to copy and edit."""
    return _SHIPPED.read_text(encoding="utf-8")


def read_services(path: Path | None = None) -> tuple[Service, ...]:
    """Services from a file; without, those that ship. Raises ServicesRejected."""
    file = path or _SHIPPED
    try:
        found = _Services.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))).service
        for one in found:
            for amount in (one.picture, one.text_tokens, one.image_tokens):
                if nano(amount) < 0:
                    raise ServicesRejected(f"{file}: {one.name}: {amount} is a negative price")
    except tomllib.TOMLDecodeError as error:
        raise ServicesRejected(f"{file} is not TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ServicesRejected(f"{file} is no text in UTF-8") from error
    except ValidationError as error:
        raise ServicesRejected(f"{file}: {complaint(error)}") from error
    except LedgerError as error:
        raise ServicesRejected(f"{file}: {error}") from error
    return found


def bill_of(service: Service, *, pictures: int, text_tokens: int, photos: int) -> Bill:
    """pictures: delivered; text_tokens: of the wishes in ordinary words; photos: given to it."""
    counted = (
        ("picture", pictures, service.picture, 1),
        ("text_tokens", text_tokens, service.text_tokens, _MILLION),
        ("image_tokens", photos * service.tokens_per_photo, service.image_tokens, _MILLION),
    )
    parts = tuple(
        Part(kind, quantity, price, priced(quantity, nano(price), per))
        for kind, quantity, price, per in counted
        if nano(price) and quantity
    )
    return Bill(service, parts)
