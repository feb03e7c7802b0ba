"""What was spent on requests that were not delivered, and on drawings that the gate rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eval.costs.tally import Tally
from fusion import Ending, PriceTable, Stage, priced

_DONE: Final = str(Ending.DONE)


@dataclass(frozen=True)
class Unfinished:
    """Requests that ended so. billed: what they cost; listed: what their quantities would have cost
    by the price tables they were opened with. Both in nano-units by currency.
    """

    ending: str
    requests: int
    evaluations: int
    device: int
    nanoseconds: int
    billed: dict[str, int]
    listed: dict[str, int]


@dataclass(frozen=True)
class Redrawn:
    """Drawings that were made again for the identity gate; device: an estimate, nanoseconds."""

    drawings: int
    of: int
    device: int


def unfinished_of(tally: Tally, tables: Mapping[str, PriceTable]) -> tuple[Unfinished, ...]:
    """A line for each ending but a delivered picture, where there are any."""
    found = []
    for ending in map(str, Ending):
        requests = tally.ended(ending)
        if ending == _DONE or not requests:
            continue
        listed = dict.fromkeys(tally.cost(), 0)
        for (item, sha, ended), quantity in tally.quantities.items():
            if ended == ending:
                listed[tally.currencies[sha]] += tables[sha].cost(item, quantity)
        found.append(
            Unfinished(
                ending, requests,
                tally.quantity("denoiser_evaluations", ending),
                tally.quantity("denoiser_time", ending),
                sum(tally.quantity(f"time.{stage}", ending) for stage in Stage),
                tally.cost(lambda _, ended, own=ending: ended == own),  # type: ignore[misc]
                listed,
            )
        )  # fmt: skip
    return tuple(found)


def redrawn_of(tally: Tally, corrected: Mapping[str, int]) -> Redrawn:
    """Of delivered requests: the device's time, by the share of drawings that were rejected.

    corrected: by item what corrections added to them, which says nothing of what was drawn.
    """
    attempts = tally.quantity("attempts", _DONE) - corrected.get("attempts", 0)
    images = tally.quantity("images", _DONE) - corrected.get("images", 0)
    again = max(attempts - images, 0)
    device = tally.quantity("denoiser_time", _DONE)
    return Redrawn(again, attempts, priced(again, device, attempts) if attempts else 0)
