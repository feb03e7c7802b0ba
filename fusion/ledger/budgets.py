"""Budgets: how much a key may cost in a month or ever, looked up before anything is drawn."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from sqlalchemy import Connection, Row, func, insert, select, update

from fusion.ledger.errors import BudgetExceeded, CurrencyMismatch, QuantityRejected
from fusion.ledger.money import LARGEST, checked_currency, decimal_of
from fusion.ledger.schema import budgets, totals

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

    Raises QuantityRejected, PriceRejected.
    """
    if amount is not None and not 0 <= amount <= LARGEST:
        raise QuantityRejected(f"a budget of {decimal_of(amount)}: give 0 or more")
    number = select(func.coalesce(func.max(budgets.c.number), 0)).where(budgets.c.key == key)
    connection.execute(
        insert(budgets).values(
            key=key,
            number=connection.execute(number).scalar_one() + 1,
            amount=amount,
            currency=checked_currency(currency),
            period=period,
            at=int(time.time() * 1e6),
        )
    )


def budget_of(connection: Connection, key: str, at: int | None = None) -> Budget | None:
    """The key's budget and how it stands. at: microseconds since the epoch, now without."""
    query = select(budgets).where(budgets.c.key == key).order_by(budgets.c.number.desc()).limit(1)
    row: Row[Any] | None = connection.execute(query).first()
    if row is None or row.amount is None:
        return None
    sums = select(
        func.coalesce(func.sum(totals.c.spent), 0), func.coalesce(func.sum(totals.c.reserved), 0)
    ).where(totals.c.key == key, totals.c.currency == row.currency)
    if row.period == "month":
        sums = sums.where(totals.c.month == month_of(int(time.time() * 1e6) if at is None else at))
    spent, reserved = connection.execute(sums).one()
    period = cast(Period, row.period)
    return Budget(key, row.amount, row.currency, period, int(spent), int(reserved))


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
    """Add to a key's sums. at: of the reservation, which says in which month it counts."""
    month = month_of(at)
    more = (
        update(totals)
        .where(totals.c.key == key, totals.c.currency == currency, totals.c.month == month)
        .values(spent=totals.c.spent + spent, reserved=totals.c.reserved + reserved)
    )
    if not connection.execute(more).rowcount:
        first = {"key": key, "currency": currency, "month": month}
        connection.execute(insert(totals).values(**first, spent=spent, reserved=reserved))


def month_of(at: int) -> str:
    """The month (UTC) of a time in microseconds since the epoch: 2026-11."""
    return time.strftime("%Y-%m", time.gmtime(at // 10**6))
