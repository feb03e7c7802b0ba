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
from functools import lru_cache
from pathlib import Path
from typing import Final, TextIO

from eval.costs.cells import harmless
from eval.costs.opening import reading
from eval.costs.question import Question
from eval.costs.stages import stage_of
from fusion import ITEMS, Ending, LedgerLine, decimal_of, lines_between, priced

_WHO: Final = "Limner"
_DONE: Final = str(Ending.DONE)
_NANO: Final = 10**9
_EXACT: Final = Context(prec=28)
_SECOND: Final = timedelta(seconds=1)
_UNITS: Final = {
    ("Nanoseconds", _NANO): "Seconds",
    ("Nanoseconds", 60 * _NANO): "Minutes",
    ("Nanoseconds", 3600 * _NANO): "Hours",
    ("Bytes", 1 << 30): "GiB",
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
        writer.writerow([harmless(row.get(name, "")) for name in COLUMNS])
        count += 1
    return count


def focus_rows(where: str | Path | None, question: Question) -> Iterator[dict[str, str]]:
    """Rows by column; the reservation and the settlement of a request are no charges."""
    with reading(where) as connection:
        request, common = "", {}
        for line in lines_between(
            connection, question.since, question.until, tenant=question.tenant
        ):
            if line.group.request != request:  # the same for all its lines, which come together
                request, common = line.group.request, _of_request(line)
            yield common | _of_line(line)


def _of_request(line: LedgerLine) -> dict[str, str]:
    """What the rows of a request have in common."""
    group, month = line.group, _month(line.opened)
    return _SAME | {
        "BillingCurrency": line.currency,
        "PricingCurrency": line.currency,
        "BillingPeriodStart": _stamp(month),
        "BillingPeriodEnd": _stamp(_month(month + timedelta(days=32))),
        "ChargePeriodStart": _stamp(line.opened.replace(microsecond=0)),
        "ResourceId": group.request,
        "ResourceName": group.request,
        "SubAccountId": group.tenant,
        "SubAccountName": group.tenant,
        "Tags": _tags(line),
        "x_PriceTableSha256": line.prices,
    }


def _of_line(line: LedgerLine) -> dict[str, str]:
    billed, price = decimal_of(line.cost), decimal_of(line.price)
    listed = priced(line.quantity, line.price, line.per)
    # What was not delivered, where that is not billed.
    free = bool(listed and not line.cost and line.group.ending != _DONE)
    unit = str(ITEMS[line.item].unit).capitalize()
    end = max(line.at.replace(microsecond=0), line.opened.replace(microsecond=0) + _SECOND)
    return {
        "BilledCost": billed,
        "EffectiveCost": billed,
        "ContractedCost": billed,
        "ListCost": decimal_of(listed) if free else billed,
        "ChargePeriodEnd": _stamp(end),
        "ChargeClass": "Correction" if line.correction else "",
        "ChargeDescription": _description(line, free),
        "ConsumedQuantity": str(line.quantity),
        "ConsumedUnit": unit,
        "PricingQuantity": _in_units(line.quantity, line.per),
        "PricingUnit": unit
        if line.per == 1
        else _UNITS.get((unit, line.per), f"{line.per} {unit}"),
        "ListUnitPrice": price,
        "ContractedUnitPrice": "0" if free else price,
        "SkuId": line.item,
        "SkuMeter": stage_of(line.item) or "request",
        "SkuPriceId": f"{line.item}@{line.prices[:12]}",
        "x_LedgerSequence": str(line.sequence),
    }


def _in_units(quantity: int, per: int) -> str:
    return str(quantity) if per == 1 else f"{_EXACT.divide(Decimal(quantity), Decimal(per)):f}"


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


def _month(when: datetime) -> datetime:
    return datetime(when.year, when.month, 1, tzinfo=UTC)


@lru_cache(maxsize=256)
def _stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
