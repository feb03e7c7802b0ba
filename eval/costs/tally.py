"""What some requests add up to: their sums by item, price table and ending, ready to be asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fusion import ITEMS, Count, Ending, Group, Sum, Sums, free_prices

OPEN: Final = "open"
ENDINGS: Final = (*map(str, Ending), OPEN)
FREE: Final = free_prices().currency  # of requests without prices
Cell = tuple[str, str, str]  # item, price table's sha256, ending


@dataclass(frozen=True)
class Tally:
    """quantities, costs: by item, price table and ending; requests: by price table and ending.

    values: what the requests have in common, as asked for. currencies: of each price table.
    """

    values: tuple[str, ...] = ()
    quantities: dict[Cell, int] = field(default_factory=dict, repr=False)
    costs: dict[Cell, int] = field(default_factory=dict, repr=False)
    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    reserved: dict[str, int] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)

    def quantity(self, item: str, *endings: str, table: str | None = None) -> int:
        """Of an item: all of it, or of requests that ended so, or under one price table."""
        found = [
            amount
            for (name, sha, ending), amount in self.quantities.items()
            if name == item
            if not endings or ending in endings
            if table is None or sha == table
        ]
        return max(found, default=0) if ITEMS[item].peak else sum(found)

    def measured(self, item: str) -> bool:
        """Whether there is a line of it at all."""
        return any(name == item for name, _, _ in self.quantities)

    def cost(
        self, wanted: Callable[[str, str], bool] = lambda item, ending: True
    ) -> dict[str, int]:
        """Nano-units by currency. wanted: of which items, of requests that ended how."""
        sums = dict.fromkeys(sorted(set(self.currencies.values())), 0)
        for (item, sha, ending), amount in self.costs.items():
            if wanted(item, ending):
                sums[self.currencies[sha]] += amount
        return sums

    def pictures(self) -> dict[str, int]:
        """Those delivered, by the currency their requests were billed in; free ones are not in."""
        made = dict.fromkeys(self.cost(), 0)
        for (item, sha, ending), amount in self.quantities.items():
            if item == "images" and ending == str(Ending.DONE):
                made[self.currencies[sha]] += amount
        return {currency: count for currency, count in made.items() if currency != FREE}

    def picture_cost(self) -> dict[str, int]:
        """Nano-units for a delivered picture, by currency; of those that delivered any."""
        costs = self.cost()
        return {one: costs[one] // count for one, count in self.pictures().items() if count > 0}

    def within(self, currencies: Collection[str]) -> Tally:
        """What of it was priced in these currencies."""
        kept = {sha: one for sha, one in self.currencies.items() if one in currencies}
        return Tally(
            self.values,
            {cell: amount for cell, amount in self.quantities.items() if cell[1] in kept},
            {cell: amount for cell, amount in self.costs.items() if cell[1] in kept},
            {place: count for place, count in self.requests.items() if place[0] in kept},
            {one: held for one, held in self.reserved.items() if one in currencies},
            kept,
        )

    def ended(self, *endings: str) -> int:
        """How many requests ended so; all of them where nothing is said."""
        return sum(
            count
            for (_, ending), count in self.requests.items()
            if not endings or ending in endings
        )

    @property
    def tables(self) -> tuple[str, ...]:
        """The price tables' sha256."""
        return tuple(self.currencies)


def tallies_of(sums: Sums, dimensions: Sequence[str]) -> tuple[Tally, ...]:
    """A tally for each group, in order. sums: by the dimensions and by "ending"."""
    made: dict[tuple[str, ...], Tally] = {}

    def of(row: Sum | Count) -> Tally:
        values = _values(row.group, dimensions)
        tally = made.setdefault(values, Tally(values))
        tally.currencies[row.prices] = row.currency
        return tally

    for count in sums.counts:
        tally = of(count)
        place = (count.prices, count.ending)
        tally.requests[place] = tally.requests.get(place, 0) + count.requests
        held = tally.reserved.get(count.currency, 0) + count.reserved
        tally.reserved[count.currency] = held
    for row in sums.items:
        _add(of(row), (row.item, row.prices, row.group.ending), row.quantity, row.cost)
    return tuple(made[values] for values in sorted(made))


def together(tallies: Iterable[Tally]) -> Tally:
    """One tally of all."""
    whole = Tally()
    for tally in tallies:
        whole.currencies.update(tally.currencies)
        for cell, quantity in tally.quantities.items():
            _add(whole, cell, quantity, tally.costs[cell])
        for place, count in tally.requests.items():
            whole.requests[place] = whole.requests.get(place, 0) + count
        for currency, held in tally.reserved.items():
            whole.reserved[currency] = whole.reserved.get(currency, 0) + held
    return whole


def _add(tally: Tally, cell: Cell, quantity: int, cost: int) -> None:
    before = tally.quantities.get(cell, 0)
    peak = ITEMS[cell[0]].peak
    tally.quantities[cell] = max(before, quantity) if peak else before + quantity
    tally.costs[cell] = tally.costs.get(cell, 0) + cost


def _values(group: Group, dimensions: Sequence[str]) -> tuple[str, ...]:
    return tuple(getattr(group, name) for name in dimensions)
