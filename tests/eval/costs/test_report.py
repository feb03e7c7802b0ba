"""A report says what the ledger's lines say: to the last unit where it counts, with its formula
where it estimates.
"""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from eval.costs.errors import LedgerMissing, QuestionRejected
from eval.costs.forms import report_as_csv, report_as_json
from eval.costs.question import GROUPS, Question, read_question
from eval.costs.report import CostReport, read_report
from fusion import (
    ITEMS,
    Database,
    DatabaseUnusable,
    LedgerLine,
    kept_prices,
    lines_between,
    load_prices,
    nano,
    read_prices,
)
from tests.eval.costs.sample_ledger import AUTUMN, DOLLARS, SPRING, sample_ledger


def _lines(file: Path) -> list[LedgerLine]:
    database = Database(f"sqlite:///{file}")
    with database.reading() as connection:
        lines = list(lines_between(connection))
    database.close()
    return lines


def _asked(file: Path, *by: str, **more: str) -> CostReport:
    return read_report(file, read_question(by=by, **more))  # type: ignore[arg-type]


def test_totals_are_the_sums_of_the_lines(month: Path) -> None:
    report = _asked(month)
    lines = _lines(month)
    assert report.total.cost() == {"EUR": sum(line.cost for line in lines)}
    for item, one in ITEMS.items():
        amounts = [line.quantity for line in lines if line.item == item]
        expected = max(amounts, default=0) if one.peak else sum(amounts)
        assert report.total.quantity(item) == expected, item


@pytest.mark.parametrize("by", [("tenant",), ("day", "bundle"), ("key", "template", "source"),
                                ("kind",), ("stage",), ("tenant", "stage")])  # fmt: skip
def test_groups_add_up_to_the_total(month: Path, by: tuple[str, ...]) -> None:
    report = _asked(month, *by)
    assert sum(row.tally.cost()["EUR"] for row in report.groups) == report.total.cost()["EUR"]
    assert sum(row.tally.ended() for row in report.groups) == report.total.ended()
    staged = sum(one.cost["EUR"] for row in report.groups for one in row.stages)
    assert staged == report.total.cost()["EUR"], "what belongs to no stage has a row of its own"
    days = sum(day.cost["EUR"] for day in report.days)
    assert days == report.total.cost()["EUR"]


def test_endings_are_counted_and_what_is_open_is_no_failure(month: Path) -> None:
    total = _asked(month).total
    assert total.ended("open") > 0
    assert total.ended() == sum(
        total.ended(name) for name in ("done", "failed", "cancelled", "open")
    )
    assert total.reserved["EUR"] > 0


def test_each_line_keeps_its_price_and_the_report_says_which_table_held_when(month: Path) -> None:
    first, second = _asked(month).tables
    assert (first.name, second.name) == ("our own GPU", "our own GPU, dearer")
    assert first.last < second.first
    assert first.sha256 == read_prices(SPRING).sha256.hex()
    assert second.bill_unfinished
    assert not first.bill_unfinished
    dear = {line.price for line in _lines(month) if line.item == "denoiser_time"}
    assert dear == {nano("2.10"), nano("2.60")}


def test_currencies_are_never_added(tmp_path: Path) -> None:
    file = sample_ledger(tmp_path / "two.db", days=6, dollars=True)
    report = _asked(file, "tenant")
    sums: Counter[str] = Counter()
    for line in _lines(file):
        sums[line.currency] += line.cost
    assert report.total.cost() == dict(sums)
    assert set(sums) == {"EUR", "USD"}
    assert all(set(day.cost) <= {"EUR", "USD"} for day in report.days)


def test_savings_are_reckoned_from_the_groups_own_lines(month: Path) -> None:
    for row in _asked(month, "bundle").groups:
        tally = row.tally
        tokens, positions, projections, faces = row.savings
        said = tally.quantity("baseline_tokens", "done") - tally.quantity("tokens", "done")
        assert tokens.saved == said
        computed = tally.quantity("positions_computed", "done")
        expected = tally.quantity("time.condition", "done") * positions.saved / computed
        assert positions.nanoseconds is not None
        assert abs(positions.nanoseconds - expected) <= 0.5
        assert f"{computed:,} × {positions.saved:,}" in positions.formula
        assert projections.nanoseconds is None, "the stage's time is counted once"
        assert faces.saved == tally.quantity("faces_reused", "done")


def test_saved_money_is_saved_time_at_the_table_that_held(tmp_path: Path) -> None:
    file = sample_ledger(tmp_path / "one.db", days=1)
    report = _asked(file)
    positions = report.savings[1]
    table = read_prices(SPRING)
    assert positions.nanoseconds is not None
    expected = table.cost("time.condition", positions.nanoseconds)
    if len(report.tables) == 1 and report.tables[0].sha256 == table.sha256.hex():
        assert positions.money == {"EUR": expected}
    else:
        assert positions.money["EUR"] > 0


def test_what_was_not_delivered_is_shown_as_billed_and_as_listed(month: Path) -> None:
    failed, cancelled = _asked(month).unfinished
    assert (failed.ending, cancelled.ending) == ("failed", "cancelled")
    assert 0 < cancelled.billed["EUR"] < cancelled.listed["EUR"], "one of the tables bills it"
    assert failed.evaluations > 0


def test_another_table_prices_the_same_quantities(month: Path) -> None:
    other = read_prices('name = "half"\ncurrency = "EUR"\n[[price]]\nitem = "images"\namount = "2"')
    report = read_report(month, Question(), prices=other)
    assert report.repriced is not None
    assert report.repriced.cost == report.total.quantity("images", "done") * 2 * 10**9
    assert {one.item for one in report.repriced.items} >= {"images", "denoiser_time"}


def test_a_table_of_another_currency_is_refused(month: Path) -> None:
    with pytest.raises(QuestionRejected, match="no rates are known"):
        read_report(month, Question(), prices=read_prices(DOLLARS))


def test_a_tenant_and_a_period_are_looked_at_alone(month: Path) -> None:
    report = _asked(month, tenant="school", since="2026-11-10")
    lines = [
        line for line in _lines(month)
        if line.group.tenant == "school" and line.group.day >= "2026-11-10"
    ]  # fmt: skip
    assert report.total.cost() == {"EUR": sum(line.cost for line in lines)}
    assert [table.name for table in report.tables] == ["our own GPU, dearer"]
    assert report.parts == "bundle", "days are divided by what there are several of"


def test_csv_and_json_have_the_exact_amounts(month: Path) -> None:
    report = _asked(month, "tenant", "bundle")
    rows = list(csv.DictReader(io.StringIO(report_as_csv(report))))
    assert list(rows[0])[:2] == ["tenant", "bundle"]
    assert sum(nano(row["cost_EUR"]) for row in rows) == report.total.cost()["EUR"]
    told = json.loads(json.dumps(report_as_json(report)))
    assert nano(told["total"]["cost"]["EUR"]) == report.total.cost()["EUR"]
    assert sum(group["requests"] for group in told["groups"]) == report.total.ended()
    assert len(told["prices"]) == 2
    staged = list(csv.DictReader(io.StringIO(report_as_csv(_asked(month, "stage")))))
    assert sum(nano(row["cost_EUR"]) for row in staged) == report.total.cost()["EUR"]


def test_nothing_is_made_or_changed_by_asking(tmp_path: Path, month: Path) -> None:
    missing = tmp_path / "none" / "ledger.db"
    with pytest.raises(LedgerMissing, match="there is no ledger"):
        _asked(missing)
    assert not missing.parent.exists()
    before = month.read_bytes()
    _asked(month, "day")
    assert month.read_bytes() == before


def test_what_is_no_ledger_is_said_so(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all, and long enough to be read as one" * 30)
    with pytest.raises((LedgerMissing, DatabaseUnusable)):
        _asked(text)
    with Database(f"sqlite:///{tmp_path / 'other.db'}").writing() as connection:
        connection.exec_driver_sql("CREATE TABLE birds (name TEXT)")
    with pytest.raises(LedgerMissing, match="no ledger of Limner's"):
        _asked(tmp_path / "other.db")


def test_an_empty_answer_says_what_was_asked(month: Path) -> None:
    with pytest.raises(LedgerMissing, match="of tenant nobody since 2026-11-01"):
        _asked(month, tenant="nobody", since="2026-11-01")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"since": "yesterday"}, "--since takes a day"),
        ({"until": "2026-13"}, "--until takes a day"),
        ({"since": "2026-11-02", "until": "2026-11-02"}, "nothing lies between"),
        ({"by": ["planet"]}, "--by takes tenant"),
    ],
)
def test_a_question_that_is_none_is_refused(asked: dict[str, str], said: str) -> None:
    with pytest.raises(QuestionRejected, match=said):
        read_question(**asked)  # type: ignore[arg-type]


def test_a_month_is_its_first_day_and_zones_are_understood() -> None:
    question = read_question(since="2026-11", until="2026-12-01T00:00:00+01:00", by=GROUPS)
    assert question.since is not None
    assert question.until is not None
    assert question.since.isoformat() == "2026-11-01T00:00:00+00:00"
    assert question.until.isoformat() == "2026-11-30T23:00:00+00:00"
    assert "stage" not in question.dimensions


def test_the_example_tables_can_be_read(tmp_path: Path) -> None:
    from eval.costs.examples import prices_example

    file = tmp_path / "prices.toml"
    file.write_text(prices_example(), encoding="utf-8")
    assert load_prices(file).price("denoiser_time").amount == nano("2.10")


def test_price_tables_are_kept_as_they_were_written(month: Path) -> None:
    database = Database(f"sqlite:///{month}")
    with database.reading() as connection:
        kept = kept_prices(connection)
    database.close()
    assert [one.text for one in kept] == [SPRING, AUTUMN]
