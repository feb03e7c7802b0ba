"""Capacity: from stage times as measured and traffic as described to machines and money."""

from __future__ import annotations

import math
from dataclasses import dataclass

from eval.costs.errors import PlanRejected


@dataclass(frozen=True)
class Traffic:
    """pictures: delivered in a day; busy_hours: in which they come; peak_factor: how many times the
    average of those hours the busiest minutes bring; utilisation: how busy a machine may be then.
    """

    pictures: float
    busy_hours: float = 10.0
    peak_factor: float = 3.0
    utilisation: float = 0.7

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("pictures a day", self.pictures, 0.0, 1e12),
            ("busy hours", self.busy_hours, 0.0, 24.0),
            ("peak factor", self.peak_factor, 0.0, 1e6),
            ("utilisation", self.utilisation, 0.0, 1.0),
        ):
            if not low < value <= high:
                raise PlanRejected(f"{name}: {value:g} is not above {low:g} and up to {high:g}")


@dataclass(frozen=True)
class Pace:
    """What a delivered picture takes. evaluations: through the denoiser, discarded attempts
    included; evaluation_seconds: of the device for each, shared in its batches; other_seconds: in
    all stages but denoising and loading. pictures: it was measured on, 0 where it was given;
    drawings: for each of them, those that the identity gate rejected included.
    """

    evaluations: float
    evaluation_seconds: float
    other_seconds: float
    pictures: int = 0
    drawings: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (
            ("evaluations", self.evaluations),
            ("seconds an evaluation", self.evaluation_seconds),
            ("other seconds", self.other_seconds),
        ):
            if not 0 <= value < 1e9:
                raise PlanRejected(f"{name}: {value:g} is not between 0 and 1e9")
        if not self.seconds:
            raise PlanRejected("a picture that takes no time cannot be planned for")

    def at_steps(self, steps: int, guided: bool) -> float:
        """Evaluations, were a picture drawn in so many steps; under guidance, two for each."""
        return steps * (2 if guided else 1) * self.drawings

    @property
    def seconds(self) -> float:
        """A machine's, for a picture."""
        return self.evaluations * self.evaluation_seconds + self.other_seconds


@dataclass(frozen=True)
class Plan:
    """demand: pictures a second in the busiest minutes; capacity: of one machine.

    cost_day, cost_picture: in the currency, None without a price; they hold for machines that run
    around the clock. formulas: each line of the reckoning with its numbers put in.
    """

    traffic: Traffic
    pace: Pace
    demand: float
    capacity: float
    machines: int
    currency: str
    machine_hour: float | None
    cost_day: float | None
    cost_picture: float | None
    formulas: tuple[tuple[str, str], ...]


def plan(
    traffic: Traffic, pace: Pace, machine_hour: float | None = None, currency: str = ""
) -> Plan:
    """machine_hour: what a machine costs in an hour. Raises PlanRejected."""
    if machine_hour is not None and not 0 <= machine_hour < 1e9:
        raise PlanRejected(f"a machine's hour cannot cost {machine_hour:g}")
    demand = traffic.pictures / (traffic.busy_hours * 3600) * traffic.peak_factor
    capacity = traffic.utilisation / pace.seconds
    machines = max(1, math.ceil(demand / capacity - 1e-9))
    formulas = [
        (
            "seconds",
            f"{pace.evaluations:,.4g} × {pace.evaluation_seconds:,.4g} s "
            f"+ {pace.other_seconds:,.4g} s = {pace.seconds:,.4g} s",
        ),
        ("capacity", f"{traffic.utilisation:g} ÷ {pace.seconds:,.4g} s = {capacity:,.4g} / s"),
        (
            "demand",
            f"{traffic.pictures:,.10g} ÷ ({traffic.busy_hours:g} × 3600 s) "
            f"× {traffic.peak_factor:g} = {demand:,.4g} / s",
        ),
        ("machines", f"⌈{demand:,.4g} ÷ {capacity:,.4g}⌉ = {machines:,}"),
    ]
    day = each = None
    if machine_hour is not None:
        day = machines * 24 * machine_hour
        each = day / traffic.pictures
        formulas += [
            ("day", f"{machines:,} × 24 h × {machine_hour:g} = {day:,.2f} {currency}"),
            ("picture", f"{day:,.2f} ÷ {traffic.pictures:,.10g} = {each:,.4g} {currency}"),
        ]
    return Plan(
        traffic, pace, demand, capacity, machines, currency, machine_hour, day, each,
        tuple(formulas),
    )  # fmt: skip
