"""Where the ledger cannot be opened or written, that is said, and nothing is lost."""

import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from fusion import (
    LEDGER_SCHEMA,
    Database,
    DatabaseUnusable,
    Ending,
    Ledger,
    LedgerError,
    LedgerUnavailable,
    Quantity,
    ledger_url,
    read_prices,
)
from fusion.ledger.owner import is_gone, this_process
from tests.fusion.ledger.conftest import IMAGE, PRICES, Opened, booked, opening

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else writes to it, for long."""
    database = Database(f"sqlite:///{file}")
    with database.writing():
        yield
    database.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a ledger may be made."""
    return tmp_path / "ledger.db"


def test_a_ledger_of_a_newer_version_is_left_alone(database_url: str, opened: Opened) -> None:
    opened().close()
    database = Database(database_url)
    with database.writing() as connection:
        connection.execute(text("UPDATE limner_ledger_version SET version = 2"))
        connection.execute(text("DROP TABLE limner_ledger_totals"))
    with pytest.raises(DatabaseUnusable, match="version 2, this Limner knows 1: use a newer"):
        opened()
    with database.reading() as connection, pytest.raises(Exception, match="limner_ledger_totals"):
        connection.execute(text("SELECT * FROM limner_ledger_totals"))
    database.close()


def test_a_folder_is_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_LEDGER", str(tmp_path))
    with pytest.raises(DatabaseUnusable, match=f"{tmp_path} cannot be opened") as raised:
        Ledger()
    assert "\n" not in str(raised.value)


def test_another_file_is_no_ledger_and_is_left_as_it_is(file: Path) -> None:
    file.write_text("dear diary, " * 100)
    with pytest.raises(DatabaseUnusable, match="not a database"):
        Ledger(file)
    assert file.read_text() == "dear diary, " * 100


@pytest.mark.parametrize("name", ["a?b.db", "a%20b.db", "a#b &é.db"])
def test_a_ledger_is_the_file_that_was_named(name: str, tmp_path: Path) -> None:
    """What stands behind ? was cut off, and %20 became a space: another file was made."""
    with Ledger(tmp_path / name) as ledger:
        booked(ledger, "a")
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:"])
def test_a_ledger_that_would_be_forgotten_is_refused(address: str) -> None:
    with pytest.raises(DatabaseUnusable, match="name a file"):
        Ledger(address)


def test_a_ledger_to_be_read_only_can_be_read(file: Path) -> None:
    with Ledger(file, read_prices(PRICES)) as ledger:
        booked(ledger, "a")
    with Ledger(f"sqlite:///file:{file}?mode=ro&uri=true", on_fault="refuse") as ledger:
        assert ledger.account("a").cost == 10_000_000 + 4286
        assert ledger.verify().holds
        with pytest.raises(LedgerUnavailable, match="readonly"):
            ledger.reserve(opening("b"))


def test_a_locked_ledger_can_be_opened_and_read(file: Path) -> None:
    with Ledger(file, read_prices(PRICES)) as ledger:
        booked(ledger, "a")
    with locked(file), Ledger(file, busy_milliseconds=0) as ledger:
        assert ledger.account("a").quantity("images") == 1


def test_who_opens_a_new_ledger_at_once_opens_the_same(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    begin, raised = threading.Barrier(4), []

    def prepare(database: Database) -> None:
        begin.wait()
        try:
            database.prepare(LEDGER_SCHEMA)
        except DatabaseUnusable as error:
            raised.append(error)

    threads = [threading.Thread(target=prepare, args=(one,)) for one in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not raised
    with databases[0].reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM limner_ledger_head")).scalar() == 1
    for one in databases:
        one.close()


def test_who_reads_sees_one_moment(database_url: str, ledger: Ledger) -> None:
    booked(ledger, "a")
    count = text("SELECT count(*) FROM limner_ledger_lines")
    with ledger.reading() as connection:
        before = connection.execute(count).scalar()
        booked(ledger, "b")
        assert connection.execute(count).scalar() == before == 5


def test_on_a_full_disk_what_was_drawn_is_booked_later(file: Path) -> None:
    with Ledger(file, read_prices(PRICES)) as ledger:
        ledger.reserve(opening("a"))
        with full_disk(os.path.getsize(f"{file}-wal")):
            assert ledger.settle("a", [IMAGE]) is None
            ledger.reserve(opening("b"))
            assert ledger.settle("b", [IMAGE]) is None
        assert len(list(Path(f"{file}.late").iterdir())) == 2
        assert ledger.write_late() == 2
        assert not Path(f"{file}.late").exists()
        assert ledger.account("a").cost == ledger.account("b").cost == 10_000_000
        assert ledger.verify().holds


def test_where_nothing_can_be_written_the_books_wait_in_memory(file: Path) -> None:
    with Ledger(file, read_prices(PRICES)) as ledger:
        ledger.reserve(opening("a"))
        with full_disk(0):
            assert ledger.settle("a", [IMAGE]) is None
            assert ledger.late
        booked(ledger, "b")
        assert ledger.account("a").ending is Ending.DONE, "booked with the next"
        assert not ledger.late


def test_on_a_full_disk_a_ledger_may_refuse(file: Path) -> None:
    with Ledger(file, on_fault="refuse") as ledger:
        with full_disk(os.path.getsize(file)), pytest.raises(LedgerUnavailable, match="make room"):
            ledger.reserve(opening("a"))
        assert ledger.verify().lines == 0


def test_a_late_entry_keeps_its_prices_and_its_time(file: Path) -> None:
    may = 1_778_000_000
    with (
        Ledger(file, read_prices(PRICES), busy_milliseconds=0, now=lambda: may) as ledger,
        locked(file),
    ):
        ledger.reserve(opening("a"))
        ledger.settle("a", [IMAGE])
        ledger.close()
    with Ledger(file) as later:
        account = later.account("a")
        assert (account.currency, account.cost) == ("EUR", 10_000_000)
        with later.reading() as connection:
            query = text("SELECT at FROM limner_ledger_requests")
            assert connection.execute(query).scalar() == may * 10**6
        assert later.verify().holds


def test_what_can_never_be_booked_is_in_nobodys_way(file: Path) -> None:
    folder = Path(f"{file}.late")
    with Ledger(file, read_prices(PRICES), busy_milliseconds=0) as ledger:
        ledger.reserve(opening("a"))
        with locked(file):
            assert ledger.settle("a", [IMAGE]) is None
            assert ledger.settle("nobody", [IMAGE]) is None
        (folder / "1-cut.json").write_text('{"id": "x", "quan')
        booked(ledger, "b")
        assert ledger.account("a").ending is Ending.DONE
        assert sorted(one.suffix for one in folder.iterdir()) == [".refused", ".refused"]
        assert not ledger.late


def test_a_late_entry_that_cannot_be_read_is_in_nobodys_way(file: Path) -> None:
    """Every later request failed with the operating system's words."""
    Path(f"{file}.late/1-folder.json").mkdir(parents=True)
    with Ledger(file, read_prices(PRICES)) as ledger:
        booked(ledger, "a")
        assert ledger.account("a").ending is Ending.DONE


def test_what_was_refused_of_an_unreserved_request_can_still_be_settled(file: Path) -> None:
    """The first refusal forgot that it was not reserved: nothing of it was ever written."""
    with Ledger(file, read_prices(PRICES), busy_milliseconds=0) as ledger:
        with locked(file):
            ledger.reserve(opening("a"))
        for refused in (Quantity("tokens", -1), Quantity("images", 2**63 - 1)):
            with pytest.raises(LedgerError):
                ledger.settle("a", [refused])
        account = ledger.settle("a", [], Ending.RELEASED)
        assert account is not None
        assert account.ending is Ending.RELEASED


def test_a_reservation_whose_answer_was_lost_is_settled_once(file: Path) -> None:
    with Ledger(file, read_prices(PRICES), busy_milliseconds=0) as ledger:
        with locked(file):
            ledger.reserve(opening("a"))  # as far as it knows, it is not there
        with Ledger(file, read_prices(PRICES)) as other:
            other.reserve(opening("a"))  # and is
        account = ledger.settle("a", [IMAGE])
        assert account is not None
        assert account.cost == 10_000_000
        assert ledger.verify().lines == 3


@pytest.mark.parametrize("name", ["id", "tenant", "key"])
def test_names_too_long_for_a_database_are_refused_by_each(name: str, ledger: Ledger) -> None:
    said = {"name": "r", name: "x" * 97}
    if name == "id":
        said = {"name": "x" * 97}
    with pytest.raises(LedgerError, match=f"the request's {name} is longer than"):
        ledger.reserve(opening(**said))


FORKED = """
import os, sys
from fusion import Ledger
from tests.fusion.ledger.conftest import IMAGE, opening
ledger = Ledger(sys.argv[1])
ledger.reserve(opening("parent"))
child = os.fork()
if not child:
    ledger.reserve(opening("child"))
    ledger.reserve(opening("lost"))
    ledger.settle("child", [IMAGE])
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert ledger.recover() == 1, "what the child left open is released, what the parent holds is not"
assert ledger.account("parent").ending is None
assert ledger.account("child").ending == "done"
assert ledger.account("lost").ending == "released"
ledger.settle("parent", [IMAGE])
assert ledger.verify().lines == 3 + 3 + 2
"""


def test_a_process_forked_off_has_connections_and_a_name_of_its_own(database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, database_url], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_clock_set_anew_releases_nothing_of_who_lives(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock a process that lives seemed to be another one, and its requests were released:
    what they used was never charged.
    """
    with Ledger(file, read_prices(PRICES)) as ledger:
        ledger.reserve(opening("a"))
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: 86_400.0)
        with Ledger(file) as other:
            assert other.recover() == 0
        account = ledger.settle("a", [IMAGE])
        assert account is not None
        assert account.ending is Ending.DONE


def test_a_process_of_the_same_number_is_another() -> None:
    sign, number, began, *place = this_process().split(" ")
    assert not is_gone(this_process())
    assert is_gone(" ".join([sign, number, f"{began}0", *place]))
    assert not is_gone(" ".join([sign, number, f"{began}0", "elsewhere", "1"]))


def test_threads_share_a_ledger(ledger: Ledger) -> None:
    threads = [
        threading.Thread(target=booked, args=(ledger, *(f"{one}-{n}" for n in range(10))))
        for one in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.write_late()
    assert ledger.verify().lines == 4 * 10 * 5


def test_a_quantity_that_is_not_whole_is_refused(ledger: Ledger) -> None:
    ledger.reserve(opening("a"))
    for amount in (-1, 1.5, 2**63):
        with pytest.raises(LedgerError, match="a quantity is whole, 0 to"):
            ledger.settle("a", [Quantity("tokens", amount)])  # type: ignore[arg-type]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    """Its tables stood there, and ours were put beside them."""
    file = tmp_path / "theirs.db"
    with sqlite3.connect(file) as theirs:
        theirs.execute("CREATE TABLE recipes (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(DatabaseUnusable, match="another program"):
        Ledger(file)
    assert file.read_bytes() == before


def test_an_empty_name_is_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIMNER_LEDGER", str(tmp_path / "mine.db"))
    assert ledger_url("") == ledger_url(None)
