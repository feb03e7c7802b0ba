"""What the same quantities would cost by another price table of ours."""

from __future__ import annotations

from dataclasses import dataclass

from eval.costs.errors import QuestionRejected
from eval.costs.tally import Tally
from fusion import ITEMS, Ending, PriceTable
from fusion import free_prices as _free


@dataclass(frozen=True)
class RepricedItem:
    """quantity: that the other table bills; price: nano-units for `per` of it; now: as billed."""

    item: str
    quantity: int
    price: int
    per: int
    cost: int
    now: dict[str, int]


@dataclass(frozen=True)
class Repriced:
    """Items that cost something by either; each is rounded once, where lines are rounded each."""

    table: PriceTable
    items: tuple[RepricedItem, ...]
    now: dict[str, int]

    @property
    def cost(self) -> int:
        """By the other table, nano-units of its currency."""
        return sum(item.cost for item in self.items)


def repriced(tally: Tally, table: PriceTable) -> Repriced:
    """Raises QuestionRejected where the ledger's money is of another currency: there are no
    exchange rates here.
    """
    costs = tally.cost()
    paid = {currency for currency, cost in costs.items() if currency != _free().currency or cost}
    if paid and table.currency not in paid:
        raise QuestionRejected(
            f"the ledger is in {', '.join(sorted(paid))}, the price table {table.name!r} in "
            f"{table.currency}: give a table of the same currency, for no rates are known here"
        )
    billed = () if table.bill_unfinished else (str(Ending.DONE),)
    items = []
    for item in ITEMS:
        price = table.price(item)
        now = tally.cost(lambda name, _, own=item: name == own)  # type: ignore[misc]
        if not price.amount and not any(now.values()):
            continue
        quantity = tally.quantity(item, *billed)
        cost = table.cost(item, quantity)
        items.append(RepricedItem(item, quantity, price.amount, price.per, cost, now))
    return Repriced(table, tuple(items), costs)
