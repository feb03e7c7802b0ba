"""The ledger as FinOps FOCUS 1.2 has it: a row for each line, so that other tools can read it.

Costs and consumed quantities are exact decimals, and add up to the ledger's. A quantity in the
unit of its price (hours of nanoseconds) may have no end as a decimal; it has 28 digits then.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Final, TextIO

from eval.costs.opening import reading
from eval.costs.question import Question
from eval.costs.stages import stage_of
from fusion import ITEMS, LedgerLine, Unit, decimal_of, lines_between, priced

_WHO: Final = "Limner"
_NANO: Final = 10**9
_EXACT: Final = Context(prec=28)
_UNITS: Final = {
    (Unit.NANOSECONDS, _NANO): "Seconds",
    (Unit.NANOSECONDS, 60 * _NANO): "Minutes",
    (Unit.NANOSECONDS, 3600 * _NANO): "Hours",
    (Unit.BYTES, 1 << 30): "GiB",
}
COLUMNS: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice",
    "PricingCategory", "PricingCurrency", "PricingQuantity", "PricingUnit", "ProviderName",
    "PublisherName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName",
    "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId", "SubAccountId", "SubAccountName",
    "Tags", "x_LedgerSequence", "x_PriceTableSha256",
)  # fmt: skip
_SAME: Final = {
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "InvoiceIssuerName": _WHO,
    "PricingCategory": "Standard",
    "ProviderName": _WHO,
    "PublisherName": _WHO,
    "ResourceType": "Request",
    "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "Portraits",
    "ServiceSubcategory": "Generative AI",
    "BillingAccountId": _WHO.lower(),
    "BillingAccountName": _WHO,
}


def write_focus(where: str | Path | None, question: Question, stream: TextIO) -> int:
    """Write the rows, as many as a ledger has, without holding them; how many there were.

    Raises LedgerMissing, DatabaseUnusable.
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in focus_rows(where, question):
        writer.writerow([row.get(name, "") for name in COLUMNS])
        count += 1
    return count


def focus_rows(where: str | Path | None, question: Question) -> Iterator[dict[str, str]]:
    """Rows by column; the reservation and the settlement of a request are no charges."""
    with reading(where) as connection:
        for line in lines_between(
            connection, question.since, question.until, tenant=question.tenant
        ):
            yield _row(line)


def _row(line: LedgerLine) -> dict[str, str]:
    unit = ITEMS[line.item].unit
    billed, group = decimal_of(line.cost), line.group
    listed = priced(line.quantity, line.price, line.per)
    free = not line.cost and listed  # what was not delivered, where that is not billed
    price = decimal_of(line.price)
    pricing = _pricing_unit(unit, line.per)
    begin = line.opened.replace(microsecond=0)
    end = max(line.at, line.opened + timedelta(seconds=1)).replace(microsecond=0)
    return _SAME | {
        "BilledCost": billed,
        "EffectiveCost": billed,
        "ContractedCost": billed,
        "ListCost": decimal_of(listed) if free else billed,
        "BillingCurrency": line.currency,
        "PricingCurrency": line.currency,
        "BillingPeriodStart": _stamp(_month(line.opened)),
        "BillingPeriodEnd": _stamp(_month(_month(line.opened) + timedelta(days=32))),
        "ChargePeriodStart": _stamp(begin),
        "ChargePeriodEnd": _stamp(end if end > begin else begin + timedelta(seconds=1)),
        "ChargeClass": "Correction" if line.correction else "",
        "ChargeDescription": _description(line, bool(free)),
        "ConsumedQuantity": str(line.quantity),
        "ConsumedUnit": str(unit).capitalize(),
        "PricingQuantity": f"{_EXACT.divide(Decimal(line.quantity), Decimal(line.per)):f}",
        "PricingUnit": pricing,
        "ListUnitPrice": price,
        "ContractedUnitPrice": "0" if free else price,
        "ResourceId": group.request,
        "ResourceName": group.request,
        "SkuId": line.item,
        "SkuMeter": stage_of(line.item) or "request",
        "SkuPriceId": f"{line.item}@{line.prices[:12]}",
        "SubAccountId": group.tenant,
        "SubAccountName": group.tenant,
        "Tags": _tags(line),
        "x_LedgerSequence": str(line.sequence),
        "x_PriceTableSha256": line.prices,
    }


def _description(line: LedgerLine, free: bool) -> str:
    if line.correction:
        return f"{line.item}, corrected: {line.note}"
    return f"{line.item}, not billed: the request {line.group.ending}" if free else line.item


def _tags(line: LedgerLine) -> str:
    group = line.group
    said = {
        "limner/bundle": group.bundle, "limner/ending": group.ending, "limner/key": group.key,
        "limner/kind": group.kind, "limner/source": group.source,
        "limner/template": group.template,
    }  # fmt: skip
    return json.dumps({key: value for key, value in said.items() if value}, ensure_ascii=False)


def _pricing_unit(unit: Unit, per: int) -> str:
    named = str(unit).capitalize()
    return named if per == 1 else _UNITS.get((unit, per), f"{per} {named}")


def _month(when: datetime) -> datetime:
    return datetime(when.year, when.month, 1, tzinfo=UTC)


def _stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
