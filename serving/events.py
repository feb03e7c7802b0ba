"""Server-sent events: an answer that goes on while a portrait is painted, and knows when its reader
has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

KEEP_ALIVE_SECONDS: Final = 15.0
LEFT: Final = 499  # the status of what nobody is there to read
_COMMENT: Final = b": still painting\n\n"


def as_event(name: str, data: BaseModel) -> bytes:
    """An event as it goes over the wire."""
    return f"event: {name}\ndata: {data.model_dump_json(exclude_none=True)}\n\n".encode()


class EventStream(Response):
    """Sends events as they come, and comments in between so that nobody takes it for dead.

    Whatever ends it, the iterator is closed and `closed` is called.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[bytes, None], closed: Callable[[], None] = lambda: None
    ) -> None:
        """closed: called once nobody reads any more, for whatever reason."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events, self._closed = events, closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the events end or the reader leaves."""
        sends = asyncio.ensure_future(self._send_all(send))
        leaves = asyncio.ensure_future(client_gone(receive))
        try:
            await asyncio.wait([sends, leaves], return_when=asyncio.FIRST_COMPLETED)
            if sends.done() and (error := sends.exception()) is not None:
                raise error
        finally:
            for task in (sends, leaves):
                task.cancel()
            await asyncio.gather(sends, leaves, return_exceptions=True)
            await self._events.aclose()
            self._closed()

    async def _send_all(self, send: Send) -> None:
        start: Message = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(start)
        upcoming = asyncio.ensure_future(anext(self._events, None))
        try:
            while True:
                done, _ = await asyncio.wait([upcoming], timeout=KEEP_ALIVE_SECONDS)
                chunk = upcoming.result() if done else _COMMENT
                if chunk is None:
                    break
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if done:
                    upcoming = asyncio.ensure_future(anext(self._events, None))
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def client_gone(receive: Receive) -> None:
    """Returns once the client has left; the request's body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
