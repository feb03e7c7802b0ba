"""Who may see the page: nobody without a key that the API itself takes."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.page.client import ApiProblem, PortraitApi

KEY_COOKIE: Final = "limner_key"
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_REMEMBERED: Final = 1024
_SECONDS: Final = 30.0  # for so long a key that was taken is not asked for again

HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Gradio configures itself in an inline script and compiles small functions at run time; nothing
# comes from elsewhere, and nothing goes elsewhere.
PAGE_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
LOGIN_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class KeyCheck:
    """Whether the API takes a key, remembered for a short while, by digest only."""

    def __init__(self, api: PortraitApi, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._taken: OrderedDict[bytes, float] = OrderedDict()

    async def is_valid(self, key: str) -> bool:
        """Whether the API takes the key. Raises ApiProblem where it cannot be asked."""
        if not key or not key.isascii() or not key.isprintable():
            return False
        digest = hashlib.sha256(key.encode()).digest()
        if self._clock() - self._taken.get(digest, float("-inf")) < _SECONDS:
            return True
        try:
            await self._api.models(key)
        except ApiProblem as problem:
            if problem.code == "signed_out" or problem.body.type in (
                "authentication_error",
                "permission_error",
            ):
                self._taken.pop(digest, None)
                return False
            if problem.body.type == "rate_limit_error" and digest in self._taken:
                return True  # known before, and only asked too often now
            raise
        self._taken[digest] = self._clock()
        while len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
        return True


class PageGuard:
    """ASGI: lets through to the page who has a valid key, sends everybody else to the login."""

    def __init__(self, app: ASGIApp, *, check: KeyCheck, login: str) -> None:
        self._app = app
        self._check = check
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page has no websockets
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = await self._refusal(scope)
        guarded = with_headers(send, PAGE_POLICY)
        await (refusal or self._app)(scope, receive, guarded)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in _SAFE and not is_same_origin(headers):
            return JSONResponse({"error": "this request came from another site"}, 403)
        try:
            if await self._check.is_valid(key_of(headers)):
                return None
        except ApiProblem:
            return JSONResponse({"error": "keys cannot be checked just now"}, 503)
        if scope["method"] in _SAFE:
            # Inside a mount root_path has the mount in it; this is what it was outside.
            root = str(scope.get("app_root_path", "")).removesuffix("/")
            return RedirectResponse(root + self._login, 303)
        return JSONResponse({"error": "sign in first"}, 401)


def key_of(headers: Headers) -> str:
    """The key in the request's cookie; "" where there is none."""
    try:
        cookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookie[KEY_COOKIE].value if KEY_COOKIE in cookie else ""


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that the request comes from a page of this very server."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def with_headers(send: Send, policy: str) -> Send:
    """`send`, with the headers that keep an answer private and at home."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["Content-Security-Policy"] = policy
            if headers.get("content-type", "").startswith(("text/html", "application/json")):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return sent
