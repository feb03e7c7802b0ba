"""What every test stands on: no network, one thread's worth of noise, the bundles."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

# Before anything reads them: nothing may be fetched, and tokenizers must not fork noisily.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# Workers of pytest-xdist share the cores; with a team as wide as the machine each, all would wait.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

# Nor may a test draw with what was compiled on this machine before.
os.environ["LIMNER_ENGINES"] = str(Path(tempfile.gettempdir()) / f"limner-no-engines-{os.getpid()}")

# Nor write into the user's own books.
os.environ["LIMNER_LEDGER"] = str(Path(tempfile.gettempdir()) / f"limner-ledger-{os.getpid()}.db")

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from models import EngineStore

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails at once, by name."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0] if isinstance(address, tuple) else address
            if host not in ("127.0.0.1", "::1", "localhost"):
                raise AssertionError(f"a test reached for the network: {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def mini_bundle() -> Path:
    """The directory of the bundle that ships."""
    return ROOT / "models" / "bundles" / "mini"


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of random weights in the standard layouts; draws noise, at once."""
    from tests.tiny import build_tiny_bundle

    return build_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def compiled_tiny(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    """The tiny bundle's engines of backend "compiled", built once, by whichever worker is first."""
    from filelock import FileLock

    from fusion import compile_bundle
    from models import EngineStore

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # what all workers of a run have in common
    store = EngineStore(base / "compiled-tiny")
    with FileLock(base / "compiled-tiny.lock"):
        if not store.entries():
            compile_bundle(tiny_bundle, "compiled", device="cpu", store=store)
    return store
