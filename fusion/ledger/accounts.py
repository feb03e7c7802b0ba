"""What goes into the book for a request, and what the book then says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fusion.ledger.items import Quantity


class Ending(StrEnum):
    """How a request ended, in its books."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RELEASED = "released"  # nobody knows what it used: its process died


@dataclass(frozen=True)
class Opening:
    """A request about to be drawn. template: names of its attributes, never
    their values, and "text" or "prompt" where words were given. expected: the most it should
    take, which a budget is held against. owner: the process that draws it; source: who
    asks, without it the ledger's own.
    """

    id: str
    bundle: str
    bundle_digest: str
    tenant: str = ""
    key: str = ""
    source: str = ""
    kind: str = "portrait"
    template: tuple[str, ...] = ()
    owner: str = ""
    expected: tuple[Quantity, ...] = ()


@dataclass(frozen=True)
class BookedLine:
    """A line as it is in the book. cost: nano-units of the account's currency."""

    item: str
    correction: int
    quantity: int
    cost: int


@dataclass(frozen=True)
class Account:
    """What the book says of a request. ending: None while it is only reserved.

    cost: nano-units; prices: the price table's sha256.
    """

    id: str
    ending: Ending | None
    currency: str
    prices: str
    lines: tuple[BookedLine, ...] = field(repr=False)

    @property
    def cost(self) -> int:
        """Of all lines, corrections included."""
        return sum(line.cost for line in self.lines)

    def quantity(self, item: str) -> int:
        """Of an item, corrections included; 0 where it was not counted."""
        return sum(line.quantity for line in self.lines if line.item == item)
