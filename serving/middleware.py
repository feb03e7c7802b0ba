"""What every request passes, outermost first: its number and its record, its size, its key.

Pure ASGI: Starlette's decorated middleware would hide that a client has left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable
from typing import Final

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import ApiError, TooLarge, TooMany, TooSlow, Unauthorized, translate
from serving.events import LEFT
from serving.keys import ApiKey, KeyStore
from serving.metrics import Metrics
from serving.rates import Allowance, RateLimiter
from serving.settings import Limits

log = logging.getLogger("limner.access")
_faults = logging.getLogger("limner.faults")
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/openapi.json"})
REQUEST_ID: Final = "x-request-id"


def error_response(error: ApiError) -> Response:
    """A failure in OpenAI's shape."""
    body = error.answer.model_dump(mode="json")
    if body["error"]["boxes"] is None:
        del body["error"]["boxes"]
    return _Ascii(body, error.status, error.headers)


class _Ascii(Response):
    """JSON of plain ASCII, so that half a surrogate in a message cannot break it."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()


class Outermost:
    """Gives each request a number, writes one line about it, and lets no traceback out."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number, started = f"req_{uuid.uuid4().hex}", time.perf_counter()
        scope.setdefault("state", {})["request_id"] = number
        status = 0

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = number
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self.app(scope, receive, numbered)
        except Exception as error:
            _faults.error("%s %s %s", number, scope["method"], _route(scope), exc_info=error)
            if status == 0:
                await error_response(translate(error))(scope, receive, numbered)
        finally:
            seconds = time.perf_counter() - started
            key = scope["state"].get("key")
            self.metrics.answered(_route(scope), scope["method"], status or LEFT, seconds)
            log.info(
                "%s %s %s %s %.0f ms key %s",
                number,
                scope["method"],
                _route(scope),
                status or "left",
                seconds * 1000,
                key.id if key is not None else "-",
            )


class BodyLimit:
    """Refuses a body that is too large or too slow, before any of it is looked at."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared[:20]) > self.limits.body_bytes:
            await error_response(self._refusal())(scope, receive, send)
            return
        taken, values, whole = 0, 0, False
        is_json = "json" in Headers(scope=scope).get("content-type", "").lower()
        deadline = time.monotonic() + self.limits.body_seconds

        async def counted() -> Message:
            nonlocal taken, values, whole
            if whole:
                return await receive()  # only that the client has left
            try:
                message = await asyncio.wait_for(receive(), max(deadline - time.monotonic(), 0.01))
            except TimeoutError:
                raise TooSlow(
                    "too_slow",
                    f"the body did not arrive within {self.limits.body_seconds:g} s: send it again",
                ) from None
            taken += len(message.get("body", b""))
            if taken > self.limits.body_bytes:
                raise self._refusal()
            if is_json:  # a few bytes of it can become a hundred in memory
                body = message.get("body", b"")
                values += sum(body.count(sign) for sign in (b",", b"[", b"{"))
                if values > self.limits.json_values:
                    raise TooLarge(
                        "request_too_large",
                        f"the JSON has more than {self.limits.json_values} values: send less",
                    )
            whole = not message.get("more_body", False)
            return message

        await self.app(scope, counted, send)

    def _refusal(self) -> ApiError:
        return TooLarge(
            "request_too_large",
            f"a request has at most {self.limits.body_bytes >> 20} MiB: send smaller pictures",
        )


class Gatekeeper:
    """Nobody passes without a key, but to a few paths; nobody asks more often than the key allows.

    apart: what has a door of its own, such as the page. on_refusal: told of a first try by a key
    that asks too often.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: KeyStore,
        limits: Limits,
        apart: Callable[[str], bool] = lambda path: False,
        on_refusal: Callable[[ApiKey], None] = lambda key: None,
    ) -> None:
        self.app, self.keys, self.limits, self.apart = app, keys, limits, apart
        self.on_refusal = on_refusal
        self.rates = RateLimiter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self.apart(scope.get("path", "")):
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websocket of ours needs a key, for there is none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        try:
            key = await self._key(Headers(scope=scope).get("authorization", ""))
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        scope["state"]["key"] = key
        allowance: Allowance | None = None
        if scope["method"] == "POST":
            allowance = self.rates.take(
                key.id, key.requests_per_minute or self.limits.requests_per_minute
            )

        async def told(message: Message) -> None:
            if allowance is not None and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-ratelimit-limit-requests"] = str(allowance.limit)
                headers["x-ratelimit-remaining-requests"] = str(allowance.remaining)
            await send(message)

        if allowance is not None and not allowance.granted:
            if Headers(scope=scope).get("x-stainless-retry-count", "0") == "0":
                self.on_refusal(key)
            seconds = max(int(allowance.seconds + 0.999), 1)
            refusal = TooMany(
                "rate_limit_exceeded",
                f"this key may ask {allowance.limit} times a minute: wait {seconds} s",
                headers={"Retry-After": str(seconds)},
            )
            await error_response(refusal)(scope, receive, told)
            return
        await self.app(scope, receive, told)

    async def _key(self, authorization: str) -> ApiKey:
        scheme, _, token = authorization.partition(" ")
        challenge = {"WWW-Authenticate": 'Bearer realm="limner"'}
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized(
                "missing_api_key",
                "send a key as `Authorization: Bearer lim_…`; `limner keys add NAME` makes one",
                headers=challenge,
            )
        key = await to_thread.run_sync(self.keys.authenticate, token.strip())
        if key is None:
            raise Unauthorized(
                "invalid_api_key",
                "this key is not known, or was revoked: check it, or have one made",
                headers=challenge,
            )
        return key


def _route(scope: Scope) -> str:
    """The route's pattern; a path that has none is not repeated."""
    route = scope.get("route")
    pattern = getattr(route, "path", None)
    if isinstance(pattern, str):
        return pattern
    return scope["path"] if scope.get("path") in OPEN_PATHS else "(no route)"
