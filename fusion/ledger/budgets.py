"""Budgets: how much a key may cost in a month or ever, looked up before anything is drawn."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from sqlalchemy import Connection, Row, insert

from fusion.ledger.errors import BudgetExceeded, CurrencyMismatch, LedgerError, QuantityRejected
from fusion.ledger.money import LARGEST, checked_currency, decimal_of
from fusion.ledger.schema import budgets, longest
from fusion.ledger.statements import (
    ADD_TOTAL,
    BUDGET,
    BUDGET_NUMBER,
    SET_TOTAL,
    TOTAL,
    TOTALS,
    newest,
)

Period = Literal["month", "ever"]
PERIODS: Final[tuple[Period, ...]] = ("month", "ever")


@dataclass(frozen=True)
class Budget:
    """amount, spent, reserved: nano-units of the currency, of this month (UTC) or ever."""

    key: str
    amount: int
    currency: str
    period: Period
    spent: int = 0
    reserved: int = 0

    @property
    def left(self) -> int:
        """What may still be reserved."""
        return self.amount - self.spent - self.reserved


def set_budget(
    connection: Connection, key: str, amount: int | None, currency: str, period: Period = "month"
) -> None:
    """Give a key a budget from now on; None takes it away.

    Raises QuantityRejected, PriceRejected, LedgerError.
    """
    if amount is not None and not 0 <= amount <= LARGEST:
        raise QuantityRejected(f"a budget of {decimal_of(amount)}: give 0 to {decimal_of(LARGEST)}")
    if period not in PERIODS:
        raise LedgerError(f"a budget for {period!r}: give {' or '.join(PERIODS)}")
    if len(key) > longest(budgets.c.key):
        raise LedgerError(f"the key is longer than {longest(budgets.c.key)} letters")
    newest(connection)  # others that set it wait
    connection.execute(
        insert(budgets).values(
            key=key,
            number=connection.execute(BUDGET_NUMBER, {"of": key}).scalar_one() + 1,
            amount=amount,
            currency=checked_currency(currency),
            period=period,
            at=int(time.time() * 1e6),
        )
    )


def budget_of(connection: Connection, key: str, at: int | None = None) -> Budget | None:
    """The key's budget and how it stands. at: microseconds since the epoch, now without."""
    row: Row[Any] | None = connection.execute(BUDGET, {"of": key}).first()
    if row is None or row.amount is None:
        return None
    month = month_of(int(time.time() * 1e6) if at is None else at)
    sums = [
        one
        for one in connection.execute(TOTALS, {"of": key, "in_": row.currency})
        if row.period == "ever" or one.month == month
    ]
    spent, reserved = sum(one.spent for one in sums), sum(one.reserved for one in sums)
    return Budget(key, row.amount, row.currency, cast(Period, row.period), spent, reserved)


def check_budget(connection: Connection, key: str, currency: str, expected: int, at: int) -> None:
    """Raises BudgetExceeded where so much more is not in the key's budget, and CurrencyMismatch."""
    budget = budget_of(connection, key, at)
    if budget is None:
        return
    if budget.currency != currency:
        raise CurrencyMismatch(
            f"the key's budget is in {budget.currency}, prices are in {currency}: set it anew"
        )
    if budget.left <= 0 or expected > budget.left:
        when = "this month" if budget.period == "month" else "in all"
        raise BudgetExceeded(
            f"the key's budget of {decimal_of(budget.amount)} {currency} {when} has "
            f"{decimal_of(max(budget.left, 0))} left, the request may cost "
            f"{decimal_of(expected)}: raise it, or wait for what is being drawn"
        )


def keep_totals(
    connection: Connection, key: str, currency: str, at: int, reserved: int = 0, spent: int = 0
) -> None:
    """Add to a key's sums, for who has the newest line. at: of the reservation, which says in which
    month it counts. Raises QuantityRejected.
    """
    place = {"of": key, "in_": currency, "when": month_of(at)}
    row = connection.execute(TOTAL, place).first()
    sums = {
        "spent": (row.spent if row else 0) + spent,
        "reserved": (row.reserved if row else 0) + reserved,
    }
    if max(sums.values()) > LARGEST:
        raise QuantityRejected(
            f"key {key or '(none)'} would come to more than {decimal_of(LARGEST)} {currency} in "
            f"{place['when']}, which cannot be written: give prices in a larger unit"
        )
    if row is None:
        first = {"key": key, "currency": currency, "month": place["when"]}
        connection.execute(ADD_TOTAL, first | sums)
    else:
        connection.execute(SET_TOTAL, place | sums)


def month_of(at: int) -> str:
    """The month (UTC) of a time in microseconds since the epoch: 2026-11."""
    return time.strftime("%Y-%m", time.gmtime(at // 10**6))
