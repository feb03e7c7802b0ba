"""Empty databases for tests: SQLite in the test's folder, PostgreSQL where a server is named."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

POSTGRES_VARIABLE = "LIMNER_TEST_POSTGRES"


def missing(what: str) -> None:
    """Skip where something is not on this machine; in CI it must be."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} must be there in CI: .ci/run brings it")
    pytest.skip(f"{what} is not on this machine")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind; PostgreSQL where a server is named in the environment."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'limner.db'}"
        return
    yield from _postgres()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL database."""
    yield from _postgres()


def _postgres() -> Iterator[str]:
    given = os.environ.get(POSTGRES_VARIABLE)
    if given is None:
        missing(f"a PostgreSQL server, named in {POSTGRES_VARIABLE},")
    name = f"limner_{os.urandom(6).hex()}"
    admin = create_engine(given, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(given).set(database=name).render_as_string(hide_password=False)
    finally:
        with closing(admin.connect()) as connection:
            try:  # the server's own workers go by themselves, and may not be forced
                connection.execute(text(f"DROP DATABASE {name}"))
            except OperationalError:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
