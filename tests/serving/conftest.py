"""A real server on a real socket, over the bundle that ships, and photos of drawn people."""

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image
from sqlalchemy import func, select, text

from fusion import Account, Engine, EngineSettings, Ledger, account_of
from serving import Database, Limits, Scope, Server, ServerSettings, make_server
from serving.database import jobs
from serving.server import ListeningServer, start_listening
from tests.databases import database_url, missing, postgres_url

__all__ = ["database_url", "missing", "postgres_url"]


@dataclass(frozen=True, eq=False)
class Running:
    """A server that listens. url: its address; key: of the tenant "tests", and may do all."""

    url: str
    key: str
    server: Server

    def client(self, key: str | None = None, **options: object) -> httpx.Client:
        """An HTTP client with a key."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **options)  # type: ignore[arg-type]

    def key_of(self, tenant: str, *scopes: Scope, per_minute: int = 100_000) -> str:
        """A new key of another tenant."""
        name = f"{tenant}-{os.urandom(4).hex()}"
        given = scopes or (Scope.READ, Scope.DRAW)
        return self.server.keys.add(
            name, tenant=tenant, scopes=given, requests_per_minute=per_minute
        )[1]


def jobs_ever(running: Running) -> int:
    """How many jobs a server's database holds."""
    with running.server.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


@contextmanager
def ledger(url: str, **options: object) -> Iterator[Ledger]:
    """The books in a server's database, as anybody may open them."""
    with Ledger(url, **options) as opened:  # type: ignore[arg-type]
        yield opened


def accounts(opened: Ledger) -> list[Account]:
    """What the books say of every request there ever was, in their order."""
    with opened.reading() as connection:
        ids = connection.execute(text("SELECT id FROM limner_ledger_requests ORDER BY number"))
        return [account_of(connection, one) for one in ids.scalars().all()]


def accounts_of(running: Running) -> list[Account]:
    """Those of a server."""
    with ledger(running.server.settings.database_url) as opened:
        assert opened.verify().holds
        return accounts(opened)


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def price_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prices of much that is counted, with more decimals than anybody needs."""
    file = tmp_path_factory.mktemp("prices") / "prices.toml"
    file.write_text(
        'name = "tests"\ncurrency = "EUR"\n'
        + "".join(
            f'[[price]]\nitem = "{item}"\namount = "{amount}"\nper = {per}\n'
            for item, amount, per in (
                ("images", "0.01", 1),
                ("tokens", "0.137", 1000),
                ("denoiser_evaluations", "0.000000333", 7),
                ("denoiser_time", "2.10", '"hour"'),
                ("time.*", "0.7", '"hour"'),
                ("bytes_sent", "0.09", '"gibibyte"'),
            )
        )
    )
    return file


@pytest.fixture(scope="session")
def engine(mini_bundle: Path) -> Iterator[Engine]:
    """One engine for the servers of the tests that do not end it."""
    with Engine.load(mini_bundle, device="cpu") as engine:
        yield engine.warm()


@pytest.fixture(scope="session")
def start(mini_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers in threads of this process; each has a folder and an engine of its own."""
    with starting(mini_bundle, tmp_path_factory) as begin:
        yield begin


@pytest.fixture
def start_briefly(mini_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same, for as long as the test lasts: before its database goes."""
    with starting(mini_bundle, tmp_path_factory) as begin:
        yield begin


@contextmanager
def starting(mini_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """What starts servers, which end with the block."""
    begun: list[tuple[ListeningServer, threading.Thread]] = []

    def begin(
        folder: Path | None = None,
        bundle: Path = mini_bundle,
        engine_settings: EngineSettings | None = None,
        **settings: object,
    ) -> Running:
        settings.setdefault("limits", Limits(requests_per_minute=1_000_000))
        server = make_server(
            ServerSettings(
                bundle=str(bundle),
                device="cpu",
                port=0,
                folder=folder or tmp_path_factory.mktemp("server"),
                **settings,  # type: ignore[arg-type]
            ),
            engine_settings=engine_settings,
        )
        token = server.keys.add(
            f"tests-{os.urandom(4).hex()}", tenant="tests", scopes=tuple(Scope)
        )[1]
        listening, address = start_listening(server)
        thread = threading.Thread(target=listening.run, name="tests-server", daemon=True)
        thread.start()
        listening.wait_started()
        begun.append((listening, thread))
        return Running(address, token, server)

    try:
        yield begin
    finally:
        for listening, thread in begun:
            listening.should_exit = True
            thread.join(30)


@pytest.fixture(scope="session")
def running_server(start: Start) -> Running:
    """A server for every test that does not mind the others."""
    return start()


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """PNG photos of four drawn women, from the front."""
    from cli.drawn import draw, new_people

    look: dict[str, object] = {"hat": False, "view": "front"}
    drawn = [draw(seed, look, 256).picture for seed in new_people(4, 21, "woman")]
    return [as_file(picture) for picture in drawn]


def as_file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """A picture's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


Opened = Callable[[str], Database]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens databases, and closes them at the end."""
    made: list[Database] = []

    def open_one(url: str) -> Database:
        made.append(Database(url))
        return made[-1].prepared()

    yield open_one
    for database in made:
        database.close()


@pytest.fixture
def database(database_url: str, opened: Opened) -> Database:
    """An empty database of each kind, prepared."""
    return opened(database_url)
