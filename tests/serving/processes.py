"""Servers in processes of their own, which can be asked to end, or killed."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx

KEY_NAME = "tests"


def free_port() -> int:
    """A port that is free now, and that no client is given while the server is down."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)  # under those the system gives away
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class ServerProcess:
    """`limner serve` as a user starts it. Start it again in the same folder after it ended."""

    def __init__(self, folder: Path, *options: str, database: str | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder, self._options = folder, options
        self._database = ["--database", database] if database else []
        self.database_url = database or f"sqlite:///{folder / 'limner.db'}"
        self.key = self._limner("keys", "add", KEY_NAME, "--scope", "read", "--scope", "draw",
                                "--scope", "metrics", "--rate", "100000").strip()  # fmt: skip
        self.process: subprocess.Popen[str] | None = None

    def _limner(self, *arguments: str) -> str:
        command = [sys.executable, "-c", "import sys; from cli.main import run; sys.exit(run())"]
        done = subprocess.run(
            [*command, *arguments, "--data", str(self._folder), *self._database],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    def start(self) -> Self:
        """Start it, and wait until it takes requests."""
        command = [sys.executable, "-c", "import sys; from cli.main import run; sys.exit(run())"]
        self.process = subprocess.Popen(
            [*command, "serve", "--port", str(self.port), "--data", str(self._folder),
             "--device", "cpu", *self._database, *self._options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return self
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        """As the out-of-memory killer does it."""
        self._end(signal.SIGKILL)

    def terminate(self) -> str:
        """As a supervisor does it; what it said on stderr."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> str:
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        _, said = self.process.communicate(timeout=60)
        self.process = None
        return said

    def client(self) -> httpx.Client:
        """An HTTP client with the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def metric(self, name: str) -> float:
        """A counter's value."""
        with self.client() as client:
            text = client.get("/metrics").text
        found = re.search(rf"^{name} ([0-9.e+]+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0
