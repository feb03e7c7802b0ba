"""The FOCUS rows add up to the ledger, as somebody else's CSV reader sees them."""

import csv
import io
import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from eval.costs.focus import COLUMNS, write_focus
from eval.costs.question import read_question
from eval.costs.report import read_report
from fusion import ITEMS, Ledger, Opening, Quantity, nano, read_prices
from tests.eval.costs.sample_ledger import sample_ledger

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def rows(month: Path) -> Rows:
    stream = io.StringIO()
    count = write_focus(month, read_question(), stream)
    found = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert len(found) == count
    return found


def test_costs_and_quantities_add_up_to_the_last_unit(rows: Rows, month: Path) -> None:
    total = read_report(month, read_question()).total
    billed = sum(nano(row["BilledCost"]) for row in rows)
    assert {"EUR": billed} == total.cost()
    assert sum(Decimal(row["EffectiveCost"]) for row in rows) * 10**9 == billed
    assert sum(Decimal(row["ContractedCost"]) for row in rows) * 10**9 == billed
    sums: Counter[str] = Counter()
    for row in rows:
        if not ITEMS[row["SkuId"]].peak:
            sums[row["SkuId"]] += int(row["ConsumedQuantity"])
    assert all(sums[item] == total.quantity(item) for item in sums)


def test_the_columns_are_those_of_focus_and_never_empty_where_it_forbids(rows: Rows) -> None:
    assert list(rows[0]) == list(COLUMNS)
    mandatory = (
        "BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart",
        "BillingPeriodEnd", "ChargeCategory", "ChargeDescription", "ChargePeriodStart",
        "ChargePeriodEnd", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
        "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "SkuPriceId",
    )  # fmt: skip
    assert all(row[name] for row in rows for name in mandatory)
    assert {row["ChargeCategory"] for row in rows} == {"Usage"}
    assert {row["ServiceCategory"] for row in rows} == {"AI and Machine Learning"}
    assert not any("e" in row["PricingQuantity"].lower() for row in rows), "plain decimals"


def test_periods_hold_their_charges(rows: Rows) -> None:
    for row in rows:
        begin, end, opened, closed = (
            datetime.strptime(row[name], "%Y-%m-%dT%H:%M:%SZ")
            for name in (
                "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd",
            )
        )  # fmt: skip
        assert begin.day == end.day == 1
        assert begin <= opened < closed
        assert opened < end


def test_price_times_quantity_is_the_cost(rows: Rows) -> None:
    for row in rows:
        if row["ChargeClass"]:
            continue
        product = Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"])
        assert abs(product - Decimal(row["ListCost"])) <= Decimal("0.0000000005"), row["SkuId"]
    assert {row["PricingUnit"] for row in rows if row["SkuId"] == "denoiser_time"} == {"Hours"}


def test_corrections_and_what_was_not_billed_are_called_so(rows: Rows) -> None:
    corrected = [row for row in rows if row["ChargeClass"] == "Correction"]
    assert corrected
    assert all(Decimal(row["BilledCost"]) < 0 for row in corrected)
    assert all("a batch was shared after all" in row["ChargeDescription"] for row in corrected)
    free = [row for row in rows if "not billed" in row["ChargeDescription"]]
    assert free
    assert all(row["BilledCost"] == "0" and Decimal(row["ListCost"]) > 0 for row in free)
    assert {json.loads(row["Tags"])["limner/ending"] for row in free} <= {"failed", "cancelled"}


def test_currencies_stay_apart(tmp_path: Path) -> None:
    file = sample_ledger(tmp_path / "two.db", days=6, dollars=True)
    stream = io.StringIO()
    write_focus(file, read_question(), stream)
    sums: Counter[str] = Counter()
    for row in csv.DictReader(io.StringIO(stream.getvalue())):
        sums[row["BillingCurrency"]] += nano(row["BilledCost"])
    assert dict(sums) == read_report(file, read_question()).total.cost()


def test_a_tenant_is_no_formula_of_a_spreadsheet(tmp_path: Path) -> None:
    """FOCUS rows told names as they are, where the report's CSV quotes them."""
    file = tmp_path / "ledger.db"
    with Ledger(file) as ledger:
        ledger.reserve(Opening(id="r", bundle="b", bundle_digest="d", tenant="=1+1"))
        ledger.settle("r", [Quantity("images", 1)])
    stream = io.StringIO()
    write_focus(file, read_question(), stream)
    (row,) = csv.DictReader(io.StringIO(stream.getvalue()))
    assert row["SubAccountId"] == row["SubAccountName"] == "'=1+1"
    assert row["BilledCost"] == "0"


def test_a_correction_within_the_rounding_is_not_called_unbilled(tmp_path: Path) -> None:
    """Its own cost is 0, and its price stood there as 0, too."""
    file = tmp_path / "ledger.db"
    prices = read_prices(
        'name = "t"\ncurrency = "EUR"\n[[price]]\n'
        'item = "tokens"\namount = "0.000000001"\nper = 2\n'
    )
    with Ledger(file, prices) as ledger:
        ledger.reserve(Opening(id="r", bundle="b", bundle_digest="d"))
        ledger.settle("r", [Quantity("tokens", 1)])
        assert ledger.correct("r", "tokens", 1, "one more").cost == 1
    stream = io.StringIO()
    write_focus(file, read_question(), stream)
    _, corrected = csv.DictReader(io.StringIO(stream.getvalue()))
    assert corrected["BilledCost"] == corrected["ListCost"] == "0"
    assert corrected["ContractedUnitPrice"] == "0.000000001"
