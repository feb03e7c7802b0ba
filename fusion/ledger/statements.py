"""What a book asks the database for, made once: building it each time took longer than asking."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, and_, bindparam, func, insert, select, update

from fusion.ledger.schema import budgets, head, lines, prices, requests, totals

_HEAD: Final = select(head.c.sequence, head.c.hash).with_for_update()
KNOWN: Final = (
    select(  # a request's number and a price table's sha256, null where they are not there
        select(requests.c.number).where(requests.c.id == bindparam("id")).scalar_subquery(),
        select(prices.c.sha256).where(prices.c.sha256 == bindparam("sha")).scalar_subquery(),
    )
)
ADD_PRICES: Final = insert(prices)
ADD_REQUEST: Final = insert(requests)
ADD_LINES: Final = insert(lines)
MOVE_HEAD: Final = update(head)
LINES: Final = (  # of a request, each with what settling needs of the request
    select(
        lines.c.item, lines.c.correction, lines.c.quantity, lines.c.cost, lines.c.note,
        requests.c.number, requests.c.key, requests.c.prices, requests.c.at, prices.c.currency,
    )
    .join_from(requests, lines, lines.c.request == requests.c.number)
    .join(prices, prices.c.sha256 == requests.c.prices)
    .where(requests.c.id == bindparam("id"))
    .order_by(lines.c.sequence)
)  # fmt: skip
PRICES: Final = select(prices.c.text).where(prices.c.sha256 == bindparam("sha"))
BUDGET: Final = (
    select(budgets)
    .where(budgets.c.key == bindparam("of"))
    .order_by(budgets.c.number.desc())
    .limit(1)
)
BUDGET_NUMBER: Final = select(func.coalesce(func.max(budgets.c.number), 0)).where(
    budgets.c.key == bindparam("of")
)
_OF_KEY: Final = and_(totals.c.key == bindparam("of"), totals.c.currency == bindparam("in_"))
TOTALS: Final = select(totals.c.month, totals.c.spent, totals.c.reserved).where(_OF_KEY)
TOTAL: Final = TOTALS.where(totals.c.month == bindparam("when"))
ADD_TOTAL: Final = insert(totals)
SET_TOTAL: Final = update(totals).where(_OF_KEY, totals.c.month == bindparam("when"))


def newest(connection: Connection) -> tuple[int, bytes]:
    """The newest line's sequence and hash; from here on nobody else writes."""
    row = connection.execute(_HEAD).one()
    return int(row.sequence), bytes(row.hash)
