"""A database is made once, kept, and refused where it is none of ours."""

from pathlib import Path

import pytest
from sqlalchemy import text

from serving import DatabaseUnusable, KeyStore
from tests.serving.conftest import Opened


def test_preparing_twice_keeps_what_is_there(database_url: str, opened: Opened) -> None:
    KeyStore(opened(database_url)).add("ada")
    assert [key.name for key in KeyStore(opened(database_url)).list()] == ["ada"]


def test_a_newer_version_is_refused(database_url: str, opened: Opened) -> None:
    database = opened(database_url)
    with database.writing() as connection:
        connection.execute(text("UPDATE limner_schema SET version = 99"))
    with pytest.raises(DatabaseUnusable, match="99"):
        opened(database_url)


def test_a_transaction_that_fails_leaves_nothing(database_url: str, opened: Opened) -> None:
    database = opened(database_url)

    def fail() -> None:
        with database.writing() as connection:
            connection.execute(text("UPDATE limner_schema SET version = 0"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert connection.execute(text("SELECT version FROM limner_schema")).scalar() == 1


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/none/limner.db", "oracle://x/y"])
def test_what_is_no_database_is_refused_in_a_line(url: str, opened: Opened) -> None:
    with pytest.raises(DatabaseUnusable) as caught:
        opened(url)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, opened: Opened) -> None:
    file = tmp_path / "limner.db"
    file.write_bytes(b"something else altogether" * 100)
    with pytest.raises(DatabaseUnusable, match="Limner"):
        opened(f"sqlite:///{file}")
    assert file.read_bytes().startswith(b"something else"), "it was left alone"
