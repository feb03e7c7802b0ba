"""Price tables: TOML that people write, exact integers that lines are reckoned with."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fusion.ledger.errors import PriceRejected
from fusion.ledger.items import CPU, ITEMS, TIME, Unit
from fusion.ledger.money import LARGEST, NANO, NO_CURRENCY, checked_currency, nano, priced

_PER: Final = {"second": NANO, "minute": 60 * NANO, "hour": 3600 * NANO, "gibibyte": 1 << 30}
ALL_STAGES: Final = "*"  # "time.*": every stage's time


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    item: str
    amount: str
    per: Annotated[int, Field(ge=1, le=LARGEST)] | str = 1


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=64)]
    currency: str
    bill_unfinished: bool = False
    price: tuple[_Row, ...] = ()


class Price(NamedTuple):
    """nano-units of the currency for so many of a quantity's units."""

    amount: int
    per: int


@dataclass(frozen=True)
class PriceTable:
    """What things cost. text: the table as it was written, kept in the ledger under its sha256.

    bill_unfinished: whether requests that failed or were cancelled cost what they used, too.
    """

    name: str
    currency: str
    bill_unfinished: bool
    text: str
    prices: dict[str, Price] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> bytes:
        """Of the text."""
        return sha256(self.text.encode()).digest()

    def price(self, item: str) -> Price:
        """An item's price; 0 for what has none."""
        return self.prices.get(item, Price(0, 1))

    def cost(self, item: str, quantity: int) -> int:
        """In nano-units."""
        price = self.price(item)
        return priced(quantity, price.amount, price.per)


FREE_TEXT: Final = f'name = "free"\ncurrency = "{NO_CURRENCY}"\n'


def read_prices(text: str, origin: str = "the price table") -> PriceTable:
    """A price table from TOML:

        name = "our own GPU, 2026"
        currency = "EUR"
        bill_unfinished = false     # what failed or was cancelled is written down, and free
        [[price]]
        item = "denoiser_time"      # as `limner costs prices --items` lists them; "time.*": any
        amount = "2.10"             # stage's time
        per = "hour"                # or minute, second, gibibyte, or a number of units

    Raises PriceRejected.
    """
    try:
        written = _Written.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PriceRejected(f"{origin} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PriceRejected(f"{origin}: {where}: {first['msg']}") from error
    prices: dict[str, Price] = {}
    for row in written.price:
        amount = nano(row.amount)
        if amount < 0:
            raise PriceRejected(f"{origin}: {row.item} costs {row.amount}: a price is not negative")
        for item in _named(row.item, origin):
            if item in prices:
                raise PriceRejected(f"{origin}: {item} has two prices")
            prices[item] = Price(amount, _per(row, item, origin))
    return PriceTable(
        written.name, checked_currency(written.currency), written.bill_unfinished, text, prices
    )


def load_prices(path: str | Path) -> PriceTable:
    """A price table from a file. Raises PriceRejected."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why: Any = getattr(error, "strerror", None) or "not UTF-8"
        raise PriceRejected(f"{path} cannot be read: {why}") from error
    return read_prices(text, str(path))


def free_prices() -> PriceTable:
    """No prices: quantities are written down, and cost nothing."""
    return read_prices(FREE_TEXT)


def _named(name: str, origin: str) -> list[str]:
    for prefix in (TIME, CPU):
        if name == prefix + ALL_STAGES:
            return [item for item in ITEMS if item.startswith(prefix)]
    if name not in ITEMS:
        raise PriceRejected(f"{origin}: {name!r} is not counted; known are {', '.join(ITEMS)}")
    if ITEMS[name].peak:
        raise PriceRejected(f"{origin}: {name} is a peak, which cannot be billed")
    return [name]


def _per(row: _Row, item: str, origin: str) -> int:
    if isinstance(row.per, int):
        return row.per
    found = _PER.get(row.per)
    wanted = Unit.BYTES if row.per == "gibibyte" else Unit.NANOSECONDS
    if found is None or ITEMS[item].unit is not wanted:
        raise PriceRejected(
            f"{origin}: {item} is counted in {ITEMS[item].unit}, not by the {row.per}: give a "
            "number of units, or second, minute, hour for times, gibibyte for bytes"
        )
    return found
