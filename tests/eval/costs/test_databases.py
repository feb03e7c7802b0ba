"""The same report from SQLite and from PostgreSQL."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from eval.costs.errors import LedgerMissing
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


@pytest.mark.parametrize("made", ["CREATE TABLE diary (said)", ""])
def test_a_file_that_is_asked_stays_as_it_is_to_the_last_byte(made: str, tmp_path: Path) -> None:
    """It was turned to another journal: somebody else's database, too, and an empty file grew."""
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(made)
    file.touch()
    before = file.read_bytes()
    with pytest.raises(LedgerMissing, match="no ledger of Limner's"), reading(file):
        pass
    assert file.read_bytes() == before


def test_a_copy_of_a_ledger_stays_as_it_is_when_it_is_read(month: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(month)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    before = copy.read_bytes()
    assert read_report(copy, read_question()).total.ended() > 0
    assert copy.read_bytes() == before
