"""Whatever is changed in the ledger by hand is found, and the line is named."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fusion import Database, Ledger, read_prices, set_budget
from fusion.ledger.chain import Link
from tests.fusion.ledger.conftest import PRICES, booked, tamper

LINES = "limner_ledger_lines"
REQUESTS = "limner_ledger_requests"
# Of each request: reserved, images, tokens, steps, settled: a's lines are 1 to 5, b's 6 to 10 …
CHANGES = {
    "a quantity": (f"UPDATE {LINES} SET quantity = 2 WHERE sequence = 7", 7, "images of b"),
    "a cost": (f"UPDATE {LINES} SET cost = 0 WHERE sequence = 7", 7, "images of b"),
    "an item": (f"UPDATE {LINES} SET item = 'energy' WHERE sequence = 8", 8, "energy of b"),
    "a note": (f"UPDATE {LINES} SET note = 'failed' WHERE sequence = 10", 10, "settled of b"),
    "a line deleted": (f"DELETE FROM {LINES} WHERE sequence = 8", 8, "is missing"),
    "the first line deleted": (f"DELETE FROM {LINES} WHERE sequence = 1", 1, "is missing"),
    "the last line deleted": (f"DELETE FROM {LINES} WHERE sequence = 15", 15, "are missing"),
    "a request's tenant": (f"UPDATE {REQUESTS} SET tenant = 'eve' WHERE id = 'b'", 6, "request b"),
    "a request's key": (f"UPDATE {REQUESTS} SET key = 'other' WHERE id = 'b'", 6, "request b"),
    "a request's time": (f"UPDATE {REQUESTS} SET at = at + 1 WHERE id = 'b'", 6, "request b"),
    "a request's id": (f"UPDATE {REQUESTS} SET id = 'x' WHERE id = 'b'", 6, "of x"),
    "a request deleted": (f"DELETE FROM {REQUESTS} WHERE id = 'b'", 6, "no more"),
    "a price table": ("UPDATE limner_ledger_prices SET text = replace(text, '2', '1')", 0, "price"),
    "a currency": ("UPDATE limner_ledger_prices SET currency = 'USD'", 0, "price table"),
    "a total": ("UPDATE limner_ledger_totals SET spent = spent - 1", 0, "sums of key k1"),
    "no total": ("DELETE FROM limner_ledger_totals", 0, "sums of key k1"),
    "the newest line": ("UPDATE limner_ledger_head SET sequence = 14", 16, "said to be 14"),
    "no newest line": ("DELETE FROM limner_ledger_head", 16, "newest"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_and_its_line_named(
    change: str, ledger: Ledger, database_url: str
) -> None:
    statement, line, words = CHANGES[change]
    booked(ledger, "a", "b", "c")
    assert ledger.verify().holds
    tamper(database_url, statement)
    verdict = ledger.verify()
    assert not verdict.holds
    assert verdict.broken == line
    assert words in verdict.why


@pytest.mark.parametrize("column", ["item", "quantity", "prices", "note", "hash"])
@pytest.mark.parametrize("value", ["'x'", "x'00ff'", "1.5", "7"])
def test_a_value_of_another_type_is_found_and_its_line_named(
    column: str, value: str, tmp_path: Path
) -> None:
    """SQLite takes any; `verify` broke off at it, and named nothing."""
    file = tmp_path / "ledger.db"
    with Ledger(file, read_prices(PRICES)) as ledger:
        booked(ledger, "a", "b")
        tamper(f"sqlite:///{file}", f"UPDATE {LINES} SET {column} = {value} WHERE sequence = 7")
        verdict = ledger.verify()
    assert (verdict.broken, verdict.lines) == (7, 6)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (f"UPDATE {REQUESTS} SET prices = 'x' WHERE id = 'b'", "request b was changed"),
        (f"UPDATE {REQUESTS} SET tenant = x'ff' WHERE id = 'b'", "request b was changed"),
        ("UPDATE limner_ledger_prices SET sha256 = 'x'", "price table"),
        ("UPDATE limner_ledger_prices SET text = x'00'", "price table"),
        ("UPDATE limner_ledger_head SET sequence = 'x'", "said to be 'x'"),
        ("UPDATE limner_ledger_head SET hash = 'x'", "another hash"),
    ],
)
def test_facts_of_another_type_are_found(statement: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with Ledger(file, read_prices(PRICES)) as ledger:
        booked(ledger, "a", "b")
        tamper(f"sqlite:///{file}", statement)
        assert words in ledger.verify().why


def test_two_lines_that_changed_places_are_found(ledger: Ledger, database_url: str) -> None:
    booked(ledger, "a", "b")
    swap = f"UPDATE {LINES} SET sequence = -sequence WHERE sequence IN (2, 8)"
    tamper(database_url, swap, f"UPDATE {LINES} SET sequence = 10 + sequence WHERE sequence < 0")
    assert ledger.verify().broken == 2


def test_a_line_added_by_hand_is_found(ledger: Ledger, database_url: str) -> None:
    booked(ledger, "a")
    copied = "request, 'energy', 0, quantity, price, per, cost, prices, note, at, hash"
    tamper(database_url, f"INSERT INTO {LINES} SELECT 6, {copied} FROM {LINES} WHERE sequence = 5")
    assert ledger.verify().broken == 6


def test_a_request_without_lines_is_found(ledger: Ledger, database_url: str) -> None:
    booked(ledger, "a")
    names = "tenant, key, source, kind, bundle, bundle_digest, template, prices, owner, at"
    tamper(
        database_url,
        f"INSERT INTO {REQUESTS} (number, id, {names}) SELECT 99, 'ghost', {names} FROM {REQUESTS}",
    )
    assert "ghost" in ledger.verify().why


def test_a_chain_written_anew_is_found_by_a_hash_that_was_noted(
    ledger: Ledger, database_url: str
) -> None:
    booked(ledger, "a", "b")
    noted = ledger.verify()
    tamper(database_url, f"UPDATE {LINES} SET quantity = 40 WHERE sequence = 9")
    _write_the_chain_anew(database_url)
    forged = ledger.verify()
    assert forged.holds, "the file agrees with itself"
    assert ledger.verify((noted.lines, forged.hash)).holds
    verdict = ledger.verify((noted.lines, noted.hash))
    assert verdict.broken == 10
    assert "not the one noted" in verdict.why


def test_lines_cut_off_with_their_head_are_found_by_a_hash_that_was_noted(
    ledger: Ledger, database_url: str
) -> None:
    booked(ledger, "a", "b")
    noted = ledger.verify()
    tamper(
        database_url, f"DELETE FROM {LINES} WHERE sequence > 5", "DELETE FROM limner_ledger_totals"
    )
    _write_the_chain_anew(database_url)
    assert "5 are left" in ledger.verify((noted.lines, noted.hash)).why


def test_a_noted_hash_still_holds_after_more_was_booked(ledger: Ledger) -> None:
    booked(ledger, "a")
    noted = ledger.verify()
    booked(ledger, "b")
    assert ledger.verify((noted.lines, noted.hash)).lines == 10


TIMES = {"lines": "at", "requests": "at", "prices": "added", "budgets": "at"}


@pytest.mark.parametrize("table", TIMES)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = 1", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_database_itself_refuses_changes(
    table: str, statement: str, ledger: Ledger, database_url: str
) -> None:
    statement = statement.format(f"limner_ledger_{table}", TIMES[table])
    if "TRUNCATE" in statement:
        if database_url.startswith("sqlite"):
            return  # it has no such statement
        statement += " CASCADE"
    _refused(ledger, database_url, statement)


@pytest.mark.parametrize("table", TIMES)
def test_sqlite_cannot_replace_a_row_past_the_triggers(table: str, tmp_path: Path) -> None:
    name = f"limner_ledger_{table}"
    with Ledger(tmp_path / "ledger.db", read_prices(PRICES)) as ledger:
        _refused(
            ledger,
            f"sqlite:///{tmp_path / 'ledger.db'}",
            f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}",
        )


def _refused(ledger: Ledger, url: str, statement: str) -> None:
    booked(ledger, "a")
    database = Database(url)
    with database.writing() as connection:
        set_budget(connection, "k1", 10**9, "EUR")
    with (
        pytest.raises(DBAPIError, match="append-only"),
        database.writing() as connection,
    ):
        connection.execute(text(statement))
    database.close()
    assert ledger.verify().holds


def _write_the_chain_anew(url: str) -> None:
    """As somebody would who can write to the database and knows this code."""
    database = Database(url)
    with database.writing() as connection:
        rows = connection.execute(
            text(f"SELECT l.*, r.id FROM {LINES} l JOIN {REQUESTS} r ON r.number = l.request "
                 "ORDER BY sequence")
        ).all()  # fmt: skip
        before = bytes(32)
        for row in rows:
            before = Link(
                row.sequence, row.id, row.item, row.correction, row.quantity, row.price, row.per,
                row.cost, bytes(row.prices), row.note, row.at,
            ).hash(before)  # fmt: skip
            written = {"hash": before, "sequence": row.sequence}
            connection.execute(
                text(f"UPDATE {LINES} SET hash = :hash WHERE sequence = :sequence"), written
            )
        connection.execute(
            text("UPDATE limner_ledger_head SET hash = :hash, sequence = :sequence"), written
        )
    database.close()
