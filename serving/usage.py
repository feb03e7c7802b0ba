"""What an answer says of a request's cost: the lines of its account, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fusion import Account, Stage, decimal_of
from serving.wire import CostAnswer, UsageAnswer

_NANO: Final = 10**9
_COUNTS: Final = tuple(
    name
    for name, field in UsageAnswer.model_fields.items()
    if field.annotation is int and name != "energy_millijoules"
)


def usage_of(account: Account) -> UsageAnswer:
    """The usage that a settled account tells."""
    amounts: dict[str, int] = {}
    for line in account.lines:
        amounts[line.item] = amounts.get(line.item, 0) + line.quantity
    cost = CostAnswer(
        amount=decimal_of(account.cost), currency=account.currency, prices=account.prices
    )
    return usage_from(amounts, cost)


def usage_from(amounts: Mapping[str, int], cost: CostAnswer | None = None) -> UsageAnswer:
    """The usage of so much of each item of the ledger; cost: None where it is not booked yet."""
    return UsageAnswer(
        **{name: amounts.get(name, 0) for name in _COUNTS},
        denoiser_seconds=amounts.get("denoiser_time", 0) / _NANO,
        seconds=sum(amounts.get(f"time.{stage}", 0) for stage in Stage) / _NANO,
        seconds_by_stage=_by_stage(amounts, "time."),
        cpu_seconds_by_stage=_by_stage(amounts, "cpu."),
        energy_millijoules=amounts.get("energy"),
        cost=cost,
    )


def _by_stage(amounts: Mapping[str, int], prefix: str) -> dict[str, float]:
    return {
        stage.value: amounts[f"{prefix}{stage}"] / _NANO
        for stage in Stage
        if f"{prefix}{stage}" in amounts
    }
