"""What the same quantities would cost by another price table of ours."""

from __future__ import annotations

from dataclasses import dataclass

from eval.costs.errors import QuestionRejected
from eval.costs.tally import FREE, Tally
from fusion import ITEMS, Ending, PriceTable


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
    """Items that cost something by either; each is rounded once, where lines are rounded each.

    requests: that are compared, those of the table's own currency, or, where there are none, the
    free ones alone; left_out: the others. now: what the compared ones cost.
    """

    table: PriceTable
    items: tuple[RepricedItem, ...]
    now: dict[str, int]
    requests: int
    left_out: int
    free_alone: bool

    @property
    def cost(self) -> int:
        """By the other table, nano-units of its currency."""
        return sum(item.cost for item in self.items)


def repriced(tally: Tally, table: PriceTable) -> Repriced:
    """The same requests by both. Raises QuestionRejected where all of them were priced in another
    currency: there are no exchange rates here.
    """
    known = set(tally.currencies.values())
    free_alone = table.currency not in known
    if free_alone and FREE not in known:
        raise QuestionRejected(
            f"the ledger is in {', '.join(sorted(known))}, the price table {table.name!r} in "
            f"{table.currency}: give a table of the same currency, for no rates are known here"
        )
    same = tally.within({FREE if free_alone else table.currency})
    billed = () if table.bill_unfinished else (str(Ending.DONE),)
    items = []
    for item in ITEMS:
        price = table.price(item)
        now = same.cost(lambda name, _, own=item: name == own)  # type: ignore[misc]
        if not price.amount and not any(now.values()):
            continue
        quantity = same.quantity(item, *billed)
        cost = table.cost(item, quantity)
        items.append(RepricedItem(item, quantity, price.amount, price.per, cost, now))
    left_out = tally.ended() - same.ended()
    return Repriced(table, tuple(items), same.cost(), same.ended(), left_out, free_alone)
