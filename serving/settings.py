"""What a server is told once, and where it keeps its things."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from fusion import sqlite_url


def default_folder() -> Path:
    """Where a server keeps database and secret unless told: $LIMNER_DATA, or the user's own."""
    if given := os.environ.get("LIMNER_DATA"):
        return Path(given)
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "limner" / "server"


def default_prices() -> Path | None:
    """The price table unless told: $LIMNER_PRICES, else none."""
    given = os.environ.get("LIMNER_PRICES")
    return Path(given) if given else None


@dataclass(frozen=True)
class Limits:
    """What is refused before it costs anything.

    body_bytes: of a request; json_values: in it. picture_bytes: of a picture in it; picture_pixels:
    as its header declares, before it is decoded. native_factor: by how much a side may be drawn
    longer than the model's own. steps: the most a request may ask for; work: steps of all its
    pictures and tries, in pictures of the model's own size. readers:
    requests whose pictures are decoded at once. waiting: requests accepted and not begun; more are
    told to come back. requests_per_minute: of a key that has no rate of its own. body_seconds: for
    a body to arrive in.
    """

    body_bytes: int = 32 << 20
    json_values: int = 100_000
    picture_bytes: int = 12 << 20
    picture_pixels: int = 24_000_000
    native_factor: float = 2.0
    steps: int = 150
    work: float = 4800.0
    readers: int = 4
    waiting: int = 64
    requests_per_minute: int = 240
    body_seconds: float = 30.0


@dataclass(frozen=True)
class ServerSettings:
    """How a server is set up.

    device, precision, backend, memory, face_pack: as `Engine.load` takes them. folder: of its
    database and secret; database: an SQLAlchemy URL instead of the SQLite file in it. aliases:
    other names its model goes by, for clients that cannot say ours. retention_seconds: how long a
    finished request and its pictures are kept. drain_seconds: for work to end in when the server is
    asked to stop; what has not ended by then is done after the next start. attempts: how often a
    request is begun whose server died over it. retry_seconds: for how long a request that says it
    is a retry finds the first try. page: whether the web page is served. prices: a price table
    (TOML), by which what is accepted from now on is charged; None charges nothing.
    """

    bundle: str = "mini"
    device: str = "auto"
    precision: str = "auto"
    backend: str = "auto"
    memory: str = "normal"
    face_pack: str | None = None
    host: str = "127.0.0.1"
    port: int = 8188
    folder: Path = field(default_factory=default_folder)
    database: str | None = None
    aliases: tuple[str, ...] = ()
    retention_seconds: float = 24 * 3600.0
    drain_seconds: float = 30.0
    attempts: int = 3
    retry_seconds: float = 600.0
    page: bool = False
    prices: Path | None = field(default_factory=default_prices)
    limits: Limits = field(default_factory=Limits)

    @property
    def database_url(self) -> str:
        """Where jobs and keys are kept."""
        return self.database or sqlite_url(self.folder / "limner.db")
