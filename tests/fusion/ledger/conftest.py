"""Ledgers of each kind, and requests for them that nobody draws."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from fusion import Ledger, Opening, PriceTable, Quantity, read_prices
from tests.databases import database_url, postgres_url

__all__ = ["database_url", "postgres_url"]

PRICES = """
name = "test"
currency = "EUR"
[[price]]
item = "images"
amount = "0.01"
[[price]]
item = "tokens"
amount = "0.000003"
per = 7
[[price]]
item = "denoiser_time"
amount = "2.10"
per = "hour"
"""
IMAGE = Quantity("images", 1)


def opening(name: str, expected: Sequence[Quantity] = (), **said: str) -> Opening:
    """A request of tenant "ada"."""
    said = {"tenant": "ada", "key": "k1", "bundle": "tiny", "bundle_digest": "sha256:0"} | said
    return Opening(id=name, template=("age", "hat"), expected=tuple(expected), **said)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where late entries for PostgreSQL wait."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


Opened = Callable[..., Ledger]


@pytest.fixture
def opened(database_url: str) -> Iterator[Opened]:
    """Opens the test's ledger, as often as it likes, and closes it at the end."""
    made: list[Ledger] = []

    def open_one(prices: PriceTable | None = None, **options: object) -> Ledger:
        made.append(Ledger(database_url, prices or read_prices(PRICES), **options))  # type: ignore[arg-type]
        return made[-1]

    yield open_one
    for one in made:
        one.close()


@pytest.fixture
def ledger(opened: Opened) -> Ledger:
    """An empty ledger of each kind."""
    return opened()


def booked(ledger: Ledger, *names: str, **said: str) -> None:
    """Requests of one picture each, settled."""
    for name in names:
        ledger.reserve(opening(name, **said))
        ledger.settle(name, (IMAGE, Quantity("tokens", 10), Quantity("steps", 4)))


def tamper(url: str, *statements: str) -> None:
    """Do what triggers and keys do not let happen: they go first, as who owns the database may."""
    engine = create_engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # which holds no foreign keys unless it is told to
            triggers = "SELECT 'DROP TRIGGER ' || name FROM sqlite_master WHERE type = 'trigger'"
        else:
            triggers = (
                "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger "
                "WHERE NOT tgisinternal UNION ALL "
                "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) "
                "FROM pg_constraint WHERE contype = 'f'"
            )
        dropped = connection.execute(text(triggers)).scalars().all()
        for statement in (*dropped, *statements):
            connection.execute(text(statement))
    engine.dispose()
