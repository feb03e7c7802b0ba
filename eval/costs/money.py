"""Amounts as reports show them: exact where they are counted, as many digits as help elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from fusion import ITEMS, Unit, decimal_of

NANO: Final = 10**9
_UNITS: Final = {
    (Unit.NANOSECONDS, NANO): "second",
    (Unit.NANOSECONDS, 60 * NANO): "minute",
    (Unit.NANOSECONDS, 3600 * NANO): "hour",
    (Unit.BYTES, 1 << 30): "gibibyte",
}


def digits_for(amounts: Iterable[int]) -> int:
    """Decimals that show two digits of the smallest of some amounts that is not 0: 2 to 9."""
    smallest = min((abs(amount) for amount in amounts if amount), default=NANO)
    return min(max(11 - len(str(smallest)), 2), 9)


def column(amounts: Sequence[int]) -> list[str]:
    """Nano-units that stand below each other: all with as many decimals."""
    digits = digits_for(amounts)
    return [rounded(amount, digits) for amount in amounts]


def exact_text(amount: int) -> str:
    """Nano-units to the last digit, thousands apart."""
    before, point, after = decimal_of(abs(amount)).partition(".")
    return f"{'-' if amount < 0 else ''}{int(before):,}{point}{after}"


def rounded(amount: int, digits: int) -> str:
    """Nano-units with so many decimals, thousands apart; what is not 0 is never shown as 0."""
    unit = 10 ** (9 - digits)
    whole = (2 * abs(amount) + unit) // (2 * unit)
    if amount and not whole:
        return f"{'-' if amount < 0 else ''}{decimal_of(abs(amount))}"
    sign = "-" if amount < 0 else ""
    before, after = divmod(whole, 10**digits)
    return f"{sign}{before:,}.{after:0{digits}d}" if digits else f"{sign}{before:,}"


def seconds_text(nanoseconds: int) -> str:
    """A time as people read it: 950 ms, 12.3 s, 1,234 s."""
    if not nanoseconds:
        return "0 s"
    seconds = nanoseconds / NANO
    if abs(seconds) < 1:
        return f"{seconds * 1000:,.3g} ms"
    return f"{seconds:,.1f} s" if abs(seconds) < 1000 else f"{seconds:,.0f} s"


def price_text(item: str, price: int, per: int) -> str:
    """A price as its table says it: 2.1 / hour; nothing where there is none."""
    if not price:
        return ""
    unit = ITEMS[item].unit
    named = _UNITS.get((unit, per)) or (f"{per:,} {unit}" if per > 1 else "1")
    return f"{exact_text(price)} / {named}"
