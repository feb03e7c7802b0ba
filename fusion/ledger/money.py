"""Amounts of money: whole nano-units of a currency, exact from the price to the sum."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from fusion.ledger.errors import PriceRejected

NANO: Final = 10**9
LARGEST: Final = 2**63 - 1  # what a database's integer holds
NO_CURRENCY: Final = "XXX"  # ISO 4217's own code for "none"
_CODE: Final = re.compile(r"[A-Z]{3}")


def nano(amount: str) -> int:
    """A decimal amount in nano-units. Raises PriceRejected: not a number, too fine, too large."""
    try:
        given = Decimal(amount)
    except InvalidOperation as error:
        raise PriceRejected(f"{amount[:40]!r} is no amount: write one such as 0.0025") from error
    if not given.is_finite():
        raise PriceRejected(f"{amount!r} is no amount: write one such as 0.0025")
    if not -60 < int(given.as_tuple().exponent) <= given.adjusted() < 20:
        raise PriceRejected(f"{amount[:40]} is too fine or too large to be counted")
    scaled = Fraction(given) * NANO  # exact, whatever its digits
    whole = int(scaled)
    if whole != scaled:
        raise PriceRejected(f"{amount} has more than nine decimals: give a price per more units")
    if abs(whole) > LARGEST:
        raise PriceRejected(f"{amount} is too large: the most is {LARGEST // NANO}")
    return whole


def decimal_of(amount: int) -> str:
    """Nano-units as a plain decimal, without zeros at the end: 2500000 is 0.0025."""
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), NANO)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")


def checked_currency(code: str) -> str:
    """An ISO 4217 code. Raises PriceRejected."""
    if not _CODE.fullmatch(code):
        raise PriceRejected(f"{code!r} is no currency: give three capitals such as EUR (ISO 4217)")
    return code


def priced(quantity: int, price: int, per: int) -> int:
    """A quantity's cost at `price` nano-units for `per` of it: rounded once, half away from 0."""
    cost = (2 * abs(quantity) * price + per) // (2 * per)
    return -cost if quantity < 0 else cost
