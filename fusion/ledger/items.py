"""What is counted of a request: one item for each line that the ledger has of it.

Items are called as in `fusion.Usage`; times are whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from fusion.ledger.errors import QuantityRejected
from fusion.ledger.money import LARGEST
from fusion.trace import Stage
from fusion.usage import COUNTED, Spent, Usage, nanoseconds


class Unit(StrEnum):
    """What one of a quantity is."""

    PICTURES = "pictures"
    DRAWINGS = "drawings"
    STEPS = "steps"
    TOKENS = "tokens"
    POSITIONS = "positions"
    PROJECTIONS = "projections"
    EVALUATIONS = "evaluations"
    FACES = "faces"
    NANOSECONDS = "nanoseconds"
    BYTES = "bytes"
    CONNECTIONS = "connections"
    MILLIJOULES = "millijoules"


@dataclass(frozen=True)
class Item:
    """Something that is counted. peak: the largest counts where others would be added."""

    name: str
    unit: Unit
    peak: bool = False


class Quantity(NamedTuple):
    """So much of an item, in its unit."""

    item: str
    amount: int


TIME: Final = "time."  # of a stage, as it passed
CPU: Final = "cpu."  # of the process, while the stage was at work
ITEMS: Final[Mapping[str, Item]] = {
    item.name: item
    for item in (
        Item("images", Unit.PICTURES),
        Item("attempts", Unit.DRAWINGS),
        Item("steps", Unit.STEPS, peak=True),
        Item("tokens", Unit.TOKENS),
        Item("baseline_tokens", Unit.TOKENS),
        Item("positions_computed", Unit.POSITIONS),
        Item("positions_reused", Unit.POSITIONS),
        Item("projections_computed", Unit.PROJECTIONS),
        Item("projections_reused", Unit.PROJECTIONS),
        Item("faces_analysed", Unit.FACES),
        Item("faces_reused", Unit.FACES),
        Item("denoiser_evaluations", Unit.EVALUATIONS),
        Item("shallow_evaluations", Unit.EVALUATIONS),
        Item("denoiser_time", Unit.NANOSECONDS),
        *(Item(f"{TIME}{stage}", Unit.NANOSECONDS) for stage in Stage),
        *(Item(f"{CPU}{stage}", Unit.NANOSECONDS) for stage in Stage),
        Item("peak_memory_bytes", Unit.BYTES, peak=True),
        Item("peak_device_bytes", Unit.BYTES, peak=True),
        Item("bytes_received", Unit.BYTES),
        Item("bytes_sent", Unit.BYTES),
        Item("connections", Unit.CONNECTIONS),
        Item("energy", Unit.MILLIJOULES),
    )
}
_AS_IN_USAGE: Final = tuple(
    name for name in ITEMS if name in Usage.__dataclass_fields__ and not name.startswith(TIME)
)


def quantities_of(usage: Usage) -> tuple[Quantity, ...]:
    """All that a finished request's account says, exactly."""
    return (
        *(Quantity(name, int(getattr(usage, name))) for name in _AS_IN_USAGE),
        Quantity("denoiser_time", nanoseconds(usage.denoiser_seconds)),
        *_by_stage(TIME, usage.seconds_by_stage),
        *_by_stage(CPU, usage.cpu_seconds_by_stage),
        *_energy(usage.energy_millijoules),
    )


def quantities_spent(spent: Spent) -> tuple[Quantity, ...]:
    """What a request took that was not finished."""
    return (
        *(Quantity(name, spent.counts[name]) for name in COUNTED if name in spent.counts),
        Quantity("denoiser_evaluations", spent.denoiser_evaluations),
        Quantity("shallow_evaluations", spent.shallow_evaluations),
        Quantity("denoiser_time", nanoseconds(spent.denoiser_seconds)),
        *_by_stage(TIME, spent.seconds_by_stage),
        *_by_stage(CPU, spent.cpu_seconds_by_stage),
        *_energy(spent.energy_millijoules),
    )


def checked(quantities: Iterable[Quantity]) -> tuple[Quantity, ...]:
    """Quantities that may be written. Raises QuantityRejected."""
    seen = set()
    kept = []
    for name, amount in quantities:
        if name not in ITEMS:
            raise QuantityRejected(f"{name!r} is not counted; known are {', '.join(ITEMS)}")
        if not isinstance(amount, int) or not 0 <= amount <= LARGEST:
            raise QuantityRejected(f"{amount} of {name}: a quantity is whole, 0 to {LARGEST}")
        if name in seen:
            raise QuantityRejected(f"{name} is given twice")
        seen.add(name)
        kept.append(Quantity(name, amount))
    return tuple(kept)


def _energy(millijoules: int | None) -> list[Quantity]:
    """No line where it was not measured, which is not the same as none."""
    return [] if millijoules is None else [Quantity("energy", millijoules)]


def _by_stage(prefix: str, seconds: Mapping[Stage, float]) -> list[Quantity]:
    return [Quantity(f"{prefix}{stage}", nanoseconds(spent)) for stage, spent in seconds.items()]
