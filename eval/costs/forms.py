"""A report for programs: as JSON, and as CSV with a row for each group. Every number is exact."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from eval.costs.cells import harmless
from eval.costs.elsewhere import Bill
from eval.costs.report import CostReport, GroupRow
from eval.costs.reprice import Repriced
from eval.costs.savings import Saving
from eval.costs.stages import StageRow
from eval.costs.tally import ENDINGS, Tally
from eval.costs.unfinished import Unfinished
from fusion import ITEMS, decimal_of

Json = dict[str, object]


def report_as_json(report: CostReport) -> Json:
    """Everything the report says, as plain values; money as exact decimals in text."""
    asked = report.question
    return {
        "ledger": report.ledger,
        "since": asked.since.isoformat() if asked.since else None,
        "until": asked.until.isoformat() if asked.until else None,
        "tenant": asked.tenant,
        "made_at": report.made_at.isoformat(timespec="seconds"),
        "total": _tally(report.total),
        "by": list(asked.by),
        "groups": [_group(report, row) for row in report.groups],
        "savings": [_saving(one) for one in report.savings],
        "stages": [_stage(one, report.cores) for one in report.stages],
        "cores": report.cores,
        "not_delivered": [_unfinished(one) for one in report.unfinished],
        "drawn_again": {
            "drawings": report.redrawn.drawings,
            "of": report.redrawn.of,
            "device_nanoseconds_estimated": report.redrawn.device,
        },
        "prices": [
            {
                "name": one.name, "sha256": one.sha256, "currency": one.currency,
                "first": one.first, "last": one.last, "requests": one.requests,
                "bill_unfinished": one.bill_unfinished,
            }
            for one in report.tables
        ],
        "days": [
            {"day": one.day, report.parts: one.part, "pictures": one.pictures,
             "cost": _money(one.cost)}
            for one in report.days
        ],
        "elsewhere": [_bill(one) for one in report.bills],
        "by_other_prices": None if report.repriced is None else _repriced(report.repriced),
    }  # fmt: skip


def report_as_csv(report: CostReport) -> str:
    """A row for each group, or one of all; with `--by stage` a row for each stage of it."""
    by = report.question.by
    rows = report.groups or (GroupRow(report.total, report.savings, report.stages),)
    made: list[dict[str, object]] = []
    for row in rows:
        named = _named(report, row)
        if report.question.by_stage:
            made += [
                _in_order(by, {**named, "stage": one.stage or "(none)"})
                | {"time_nanoseconds": one.nanoseconds, "cpu_nanoseconds": one.cpu}
                | _columns(one.cost)
                for one in row.stages
            ]
        else:
            counts = {f"requests_{name}": row.tally.ended(name) for name in ENDINGS}
            made.append(
                _in_order(by, named)
                | {"requests": row.tally.ended(), **counts}
                | {item: row.tally.quantity(item) for item in ITEMS}
                | _columns(row.tally.cost())
                | {f"pictures_{one}": n for one, n in row.tally.pictures().items()}
                | {f"picture_cost_{one}": decimal_of(cost)
                   for one, cost in row.tally.picture_cost().items()}
            )  # fmt: skip
    columns = list(dict.fromkeys(name for one in made for name in one))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval=0, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: harmless(value) for name, value in one.items()} for one in made)
    return text.getvalue()


def _named(report: CostReport, row: GroupRow) -> Mapping[str, str]:
    return dict(zip(report.question.dimensions, row.tally.values, strict=False))


def _in_order(by: tuple[str, ...], named: Mapping[str, str]) -> dict[str, object]:
    return {name: named[name] for name in by if name in named}


def _columns(cost: Mapping[str, int]) -> dict[str, object]:
    return {f"cost_{currency}": decimal_of(amount) for currency, amount in cost.items()}


def _tally(tally: Tally) -> Json:
    endings = {name: count for name in ENDINGS if (count := tally.ended(name))}
    return {
        "requests": tally.ended(),
        "endings": endings,
        "quantities": {item: tally.quantity(item) for item in ITEMS if tally.measured(item)},
        "cost": _money(tally.cost()),
        "pictures_billed": tally.pictures(),
        "picture_cost": _money(tally.picture_cost()),
        "reserved": _money({key: value for key, value in tally.reserved.items() if value}),
    }


def _group(report: CostReport, row: GroupRow) -> Json:
    made: Json = {**_in_order(report.question.by, _named(report, row)), **_tally(row.tally)}
    made["savings"] = [_saving(one) for one in row.savings]
    if report.question.by_stage:
        made["stages"] = [_stage(one, report.cores) for one in row.stages]
    return made


def _saving(one: Saving) -> Json:
    return {
        "kind": one.kind, "used": one.used, "saved": one.saved,
        "nanoseconds_estimated": one.nanoseconds, "formula": one.formula,
        "money_estimated": _money(one.money),
    }  # fmt: skip


def _stage(one: StageRow, cores: int) -> Json:
    busy = one.cpu_share(cores)
    return {
        "stage": one.stage, "nanoseconds": one.nanoseconds, "share": round(one.share, 6),
        "cpu_nanoseconds": one.cpu,
        "cpu_share": None if busy is None else round(busy, 6),
        "cost": _money(one.cost),
    }  # fmt: skip


def _unfinished(one: Unfinished) -> Json:
    return {
        "ending": one.ending, "requests": one.requests,
        "denoiser_evaluations": one.evaluations, "denoiser_nanoseconds": one.device,
        "nanoseconds": one.nanoseconds, "cost": _money(one.billed),
        "cost_by_list": _money(one.listed),
    }  # fmt: skip


def _bill(bill: Bill) -> Json:
    service = bill.service
    return {
        "name": service.name, "source": service.source, "noted": service.noted.isoformat(),
        "note": service.note, "currency": service.currency, "cost": decimal_of(bill.cost),
        "parts": [
            {"kind": one.kind, "quantity": one.quantity, "price": one.price,
             "cost": decimal_of(one.cost)}
            for one in bill.parts
        ],
    }  # fmt: skip


def _repriced(other: Repriced) -> Json:
    return {
        "name": other.table.name, "sha256": other.table.sha256.hex(),
        "currency": other.table.currency, "cost": decimal_of(other.cost),
        "requests": other.requests, "requests_left_out": other.left_out,
        "free_ones_alone": other.free_alone,
        "items": [
            {"item": one.item, "quantity": one.quantity, "price": decimal_of(one.price),
             "per": one.per, "cost": decimal_of(one.cost), "now": _money(one.now)}
            for one in other.items
        ],
    }  # fmt: skip


def _money(amounts: Mapping[str, int]) -> dict[str, str]:
    return {currency: decimal_of(amount) for currency, amount in amounts.items()}
