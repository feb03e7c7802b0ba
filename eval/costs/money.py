"""Amounts as reports show them: exact where they are counted, as many digits as help elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fusion import decimal_of

NANO: Final = 10**9


def digits_for(amounts: Iterable[int]) -> int:
    """Decimals that show the largest of some amounts well, and the others beside it."""
    largest = max((abs(amount) for amount in amounts), default=0)
    if largest >= 100 * NANO:
        return 2
    return 4 if largest >= NANO else 6


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
