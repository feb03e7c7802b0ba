"""A real HTTP server that speaks the hub's resolve protocol, and misbehaves when told to.

`/REPOSITORY/resolve/REVISION/PATH` answers as the hub does: small files at once, large ones by a
redirect to a store under another host name, with the digest and the size in the redirect's headers.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    host: str
    range: str | None
    authorization: str | None
    sent: int = 0


@dataclass
class Hub:
    """What is served, by path; and how it misbehaves.

    cuts: by path, after how many bytes to close the connection, one for each request.
    statuses: by path, what to answer before the file. stalls: paths whose answers stop after as
    many bytes until `go` is set. token: what gated repositories ask for.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    stalls: dict[str, int] = field(default_factory=dict)
    go: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    etags: bool = True
    vouches: bool = True  # x-linked-etag
    gated: set[str] = field(default_factory=set)
    headless: set[str] = field(default_factory=set)  # paths that may not be asked by HEAD
    token: str = "right"
    seen: list[Seen] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, repository: str, path: str, data: bytes, large: bool = False) -> None:
        """Publish a file of a repository at any revision."""
        key = f"/{repository}/{path}"
        self.files[key] = data
        if large:
            self.large.add(key)

    def gets(self, part: str) -> list[Seen]:
        """The requests for content of whose path `part` is a part, redirects left out."""
        return [one for one in self.seen if one.method == "GET" and part in one.path and one.sent]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        hub.port = self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is none of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    @property
    def hub(self) -> Hub:
        assert isinstance(self.server, _Server)
        return self.server.hub

    def _answer(self, body: bool) -> None:
        hub, headers = self.hub, self.headers
        seen = Seen(
            self.command, self.path, headers["Host"], headers["Range"], headers["Authorization"]
        )
        hub.seen.append(seen)
        store = self.path.startswith("/store/")
        path = self.path.removeprefix("/store") if store else self.path
        repository, resolved, rest = path[1:].partition("/resolve/")
        extra: dict[str, str] = {}
        if resolved:
            path = f"/{repository}/{rest.partition('/')[2]}"
            extra["X-Repo-Commit"] = COMMIT
        data = hub.files.get(path)
        if repository in hub.gated and headers["Authorization"] != f"Bearer {hub.token}":
            self._plain(401)
        elif not body and path in hub.headless:
            self._plain(403)
        elif body and hub.statuses.get(path):
            self._plain(hub.statuses[path].pop(0))
        elif data is None:
            self._plain(404)
        elif path in hub.large and not store:
            if hub.vouches:
                extra["X-Linked-Etag"] = f'"{hashlib.sha256(data).hexdigest()}"'
            extra["X-Linked-Size"] = str(len(data))
            extra["Location"] = f"http://localhost:{hub.port}/store{path}"
            self._plain(302, extra)
        else:
            self._send(path, data, seen, extra, body)

    def _send(self, path: str, data: bytes, seen: Seen, extra: dict[str, str], body: bool) -> None:
        hub, etag, start = self.hub, f'"{hashlib.sha256(data).hexdigest()}"', 0
        if hub.etags:
            extra["ETag"] = etag
        asked = self.headers["Range"]
        if asked and hub.ranges and self.headers["If-Range"] in (None, etag):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(data) > 0:
            self._plain(416, {**extra, "Content-Range": f"bytes */{len(data)}"})
            return
        if start:
            extra["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send_response(206 if start else 200)
        for name, value in {**extra, "Content-Length": str(len(data) - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self._write(path, data[start:], seen)

    def _write(self, path: str, rest: bytes, seen: Seen) -> None:
        hub = self.hub
        if hub.cuts.get(path):
            rest = rest[: hub.cuts[path].pop(0)]
            self.close_connection = True
        stall = hub.stalls.pop(path, None)
        seen.sent = len(rest)
        if stall is not None:
            self.wfile.write(rest[:stall])
            self.wfile.flush()
            hub.go.wait(30)
            rest = rest[stall:]
        self.wfile.write(rest)

    def _plain(self, status: int, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(extra or {}), "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()


@contextlib.contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine while the context lasts; the environment names it as the hub."""
    hub = Hub()
    server = _Server(hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    try:
        yield hub
    finally:
        hub.go.set()
        server.shutdown()
        server.server_close()
        thread.join()
