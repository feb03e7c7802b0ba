"""A TCP proxy that cuts connections: the weather between a client and its server."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class CuttingProxy:
    """Forwards to a server. `cut` tells of each connection, by number from 0, whether the answer is
    swallowed: "at once", when the request has gone out; "answered", when the server has answered in
    full; None lets it through.
    """

    def __init__(self, port: int, cut: Callable[[int], str | None]) -> None:
        self._target = ("127.0.0.1", port)
        self._cut = cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            threading.Thread(
                target=self._serve, args=(client, self._cut(number)), daemon=True
            ).start()

    def _serve(self, client: socket.socket, cut: str | None) -> None:
        server = socket.create_connection(self._target)
        up = threading.Thread(target=self._pump, args=(client, server), daemon=True)
        up.start()
        if cut is None:
            self._pump(server, client)
        elif cut == "at once":
            # Long enough for the request to be accepted and begun, far too short to be drawn.
            threading.Event().wait(0.3)
        else:
            self._swallow(server)
        for one in (client, server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    @staticmethod
    def _swallow(server: socket.socket) -> None:
        """Read the whole answer, as its Content-Length says, and keep it."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += server.recv(1 << 16)
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ]
        while len(body) < lengths[0]:
            body += server.recv(1 << 16)
