"""Sums are divided and compared by the requests they are of; figures are what they are called."""

from pathlib import Path

import pytest

from eval.costs.errors import LedgerMissing, QuestionRejected
from eval.costs.forms import report_as_csv, report_as_json
from eval.costs.money import column, exact_text
from eval.costs.page import render_costs
from eval.costs.question import Question, read_question
from eval.costs.report import CostReport, read_report
from eval.costs.stages import StageRow
from fusion import Ledger, Opening, Quantity, corrections_of, free_prices, read_prices
from tests.eval.costs.sample_ledger import DOLLARS, sample_ledger

EUROS = DOLLARS.replace("USD", "EUR").replace("resale", "list").replace("0.02", "0.5")
FREE = ""
MS = 10**6


def _book(file: Path, *booked: tuple[str, int], **quantities: int) -> Path:
    """A request for each: its price table's text, its pictures."""
    for number, (text, pictures) in enumerate(booked):
        with Ledger(file, read_prices(text) if text else free_prices()) as ledger:
            name = f"request-{number}"
            ledger.reserve(Opening(id=name, bundle="mini", bundle_digest="d"))
            ledger.settle(
                name,
                [
                    Quantity("images", pictures),
                    Quantity("attempts", pictures),
                    *(Quantity(item.replace("__", "."), n) for item, n in quantities.items()),
                ],
            )
    return file


def _report(file: Path, prices: str | None = None) -> CostReport:
    table = None if prices is None else read_prices(prices)
    return read_report(file, Question(), prices=table, cores=2)


def test_a_pictures_cost_is_of_the_pictures_of_that_currency(tmp_path: Path) -> None:
    """Money in euros was divided by free pictures, and by those that were paid in dollars."""
    report = _report(_book(tmp_path / "l.db", (EUROS, 2), (DOLLARS, 4), (FREE, 10)))
    assert report.total.pictures() == {"EUR": 2, "USD": 4}
    assert report.total.picture_cost() == {"EUR": 500 * MS, "USD": 20 * MS}
    told = report_as_json(report)["total"]
    assert isinstance(told, dict)
    assert told["picture_cost"] == {"EUR": "0.5", "USD": "0.02"}
    assert "picture_cost_EUR,picture_cost_USD" in report_as_csv(report)
    page = render_costs(report, "en")
    assert ">for a picture</span> 0.50<" in page
    assert ">for a picture</span> 0.020<" in page


def test_another_table_is_compared_over_the_same_requests(tmp_path: Path) -> None:
    """It repriced all requests beside what those of one currency had cost."""
    file = _book(tmp_path / "l.db", (EUROS, 2), (DOLLARS, 4), (FREE, 10))
    other = _report(file, EUROS.replace("0.5", "0.25")).repriced
    assert other is not None
    assert (other.cost, other.now) == (500 * MS, {"EUR": 1000 * MS})
    assert (other.requests, other.left_out, other.free_alone) == (1, 2, False)


def test_free_requests_are_repriced_alone_where_none_has_the_currency(tmp_path: Path) -> None:
    file = _book(tmp_path / "l.db", (DOLLARS, 4), (FREE, 10))
    report = _report(file, EUROS)
    other = report.repriced
    assert other is not None
    assert (other.cost, other.requests, other.left_out) == (5000 * MS, 1, 1)
    assert other.free_alone
    assert "of the free ones alone, 1;" in render_costs(report, "en")
    with pytest.raises(QuestionRejected, match="no rates"):
        _report(_book(tmp_path / "usd.db", (DOLLARS, 4)), EUROS)


def test_a_corrected_picture_is_no_rejected_drawing(tmp_path: Path) -> None:
    file = _book(tmp_path / "l.db", (EUROS, 3))
    with Ledger(file) as ledger:
        ledger.correct("request-0", "images", -1, "one was black")
    report = _report(file)
    assert report.total.quantity("images") == 2
    assert report.redrawn.drawings == 0
    assert "identity gate and made again" not in render_costs(report, "en").partition("<script")[0]


def test_corrections_are_counted_within_the_question(month: Path) -> None:
    from eval.costs.opening import reading

    with reading(month) as connection:
        whole = corrections_of(connection)
        assert whole["denoiser_time"] < 0
        assert corrections_of(connection, tenant="nobody") == {}


def test_more_than_all_processors_is_no_share(tmp_path: Path) -> None:
    """A stage of a millisecond was said to have had the processors at 964 %."""
    assert StageRow("prompt", 10, 193, 0.0, {}).cpu_share(2) is None
    assert StageRow("prompt", 10, 15, 0.0, {}).cpu_share(2) == 0.75
    assert StageRow("", 0, 0, 0.0, {}).cpu_share(2) is None
    report = _report(_book(tmp_path / "l.db", (EUROS, 1), time__prompt=MS, cpu__prompt=19 * MS))
    assert '19 ms, <span data-w="page.shared">shared</span>' in render_costs(report, "en")
    stages = report_as_json(report)["stages"]
    assert isinstance(stages, list)
    assert stages[0]["cpu_share"] is None


def test_more_tokens_than_before_have_one_sign(tmp_path: Path) -> None:
    """The page said −-22 %."""
    file = _book(tmp_path / "l.db", (EUROS, 1), tokens=122, baseline_tokens=100)
    page = render_costs(_report(file), "en").partition("<script")[0]
    assert ", +22 %<" in page
    assert "−-" not in page
    assert "`" not in page


def test_money_in_a_column_has_as_many_decimals() -> None:
    """2,551,133.55, 0.01, 0 and 0.004300394 stood below each other; 0.006987 was 0.01."""
    amounts = [2_551_133_550_000_000, 6_987_000, 0, -4_300_394]
    assert column(amounts) == ["2,551,133.5500", "0.0070", "0.0000", "-0.0043"]
    assert column([3, 10**9]) == ["0.000000003", "1.000000000"]
    assert column([]) == []
    assert column([5 * 10**9]) == ["5.00"]
    assert exact_text(-1_234_567_000_000_001) == "-1,234,567.000000001"


def test_a_folder_is_told_as_one_and_the_ledger_in_it_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing, match="is a folder, no ledger: name the ledger's file"):
        read_report(tmp_path, read_question())
    file = sample_ledger(tmp_path / "limner.db", days=1)
    with pytest.raises(LedgerMissing, match=f"is a folder.*--ledger {file}"):
        read_report(tmp_path, read_question())
