"""The same report from SQLite and from PostgreSQL."""

import io

from eval.costs.focus import write_focus
from eval.costs.forms import report_as_json
from eval.costs.opening import ledger_name, reading
from eval.costs.question import read_question
from eval.costs.report import read_report
from fusion import kept_prices, written_request
from tests.databases import database_url
from tests.eval.costs.sample_ledger import sample_ledger

__all__ = ["database_url"]


def test_a_database_is_asked_like_a_file(database_url: str) -> None:
    sample_ledger(database_url, days=2)
    report = read_report(database_url, read_question(by=["tenant", "day"]))
    assert report.total.cost()["EUR"] > 0
    assert sum(row.tally.cost()["EUR"] for row in report.groups) == report.total.cost()["EUR"]
    assert report_as_json(report)["ledger"] == ledger_name(database_url)
    assert write_focus(database_url, read_question(), io.StringIO()) > 100
    with reading(database_url) as connection:
        assert len(kept_prices(connection)) == 2
        found = written_request(connection, "req_00001")
    assert found.lines[0].item == "reserved"
    assert len(found.lines[0].hash) == 64


def test_an_address_is_shown_without_its_password() -> None:
    named = ledger_name("postgresql+psycopg://ada:secret@host/books")
    assert "secret" not in named
    assert "host/books" in named
