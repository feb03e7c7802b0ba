"""Running a server: listening, ending well."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from serving.app import Server
from serving.errors import ServingError

log = logging.getLogger("limner.server")
GRACE_SECONDS = 10.0  # over the drain, for answers to be sent


class ListeningServer(uvicorn.Server):
    """uvicorn, but asked to end it first lets the work end, while it still answers."""

    def __init__(self, config: uvicorn.Config, server: Server, listener: socket.socket) -> None:
        super().__init__(config)
        self._server = server
        self._listener = listener
        self._asked = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until asked to end."""
        super().run(sockets or [self._listener])

    def wait_started(self) -> bool:
        """Wait until requests are taken; False where it ended before."""
        while not self.started and not self.should_exit:
            time.sleep(0.01)
        return self.started

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or Ctrl-C: drain, then end. A second one ends at once."""
        if self._asked:
            self._server.runner.hurry()
            self.should_exit = self.force_exit = True
            return
        self._asked = True
        self._server.desk.draining = True
        left = self._server.runner.waiting + self._server.runner.running
        log.info("ending: %d requests are being finished; asked again, it ends at once", left)

        def drain() -> None:
            self._server.drain()
            self.should_exit = True

        threading.Thread(target=drain, name="limner-drain", daemon=True).start()


def start_listening(server: Server) -> tuple[ListeningServer, str]:
    """A server that has its address already, and the address; `run` makes it answer.

    Raises ServingError where the address cannot be had.
    """
    settings = server.settings
    listener = _listen(settings.host, settings.port)
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    server.app.state.url = f"http://{shown}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        server.app,
        log_config=None,
        access_log=False,  # ours has no addresses with ids in them
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.drain_seconds + GRACE_SECONDS),
        h11_max_incomplete_event_size=64 << 10,
    )
    return ListeningServer(config, server, listener), server.app.state.url


def serve(server: Server, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Listen until asked to end. on_ready: called with the address once requests are taken.

    Raises ServingError where the address cannot be had.
    """
    listening, url = start_listening(server)

    def tell() -> None:
        if listening.wait_started():
            on_ready(url)

    threading.Thread(target=tell, daemon=True).start()
    listening.run()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its name: asyncio sends at once (TCP_NODELAY) only on what says that it is TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ServingError(
            f"cannot listen on {host}:{port} ({reason}): choose another --port, or --port 0 for "
            "any that is free"
        ) from error
    listener.set_inheritable(True)
    return listener


def log_to_stderr(verbose: bool) -> None:
    """One line for each request where asked for, and faults in any case."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("limner").setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("limner.server").setLevel(logging.INFO)
