"""Gradio's first answer, made ours: what runs before anything is drawn, the icon, no strangers."""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.page.words import ICON, LANGUAGE_COOKIE, chosen_language, static_text

# Gradio's own words and picture for link previews, and where its site is.
_STRANGERS: Final = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>')
_HTML: Final = re.compile(rb'<html\s+lang="[^"]*"')


class Front:
    """ASGI: passes everything on, and writes our own head into the page itself.

    Gradio would put it there only once its own scripts run, after a flash of another theme.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = scope["path"][len(scope.get("root_path", "")) :]
        if scope["type"] != "http" or inner not in ("", "/"):
            await self._app(scope, receive, send)
            return
        plain = [(k, v) for k, v in scope["headers"] if k != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, _rewriting(send, _language(scope)))


def _language(scope: Scope) -> str:
    headers = Headers(scope=scope)
    cookie = cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE)
    chosen = chosen_language(cookie, headers.get("accept-language"))
    return "zh-CN" if chosen == "zh" else "en"


def _rewriting(send: Send, language: str) -> Send:
    started: list[Message] = []
    body = bytearray()

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if headers.get("content-type", "").startswith("text/html"):
                started.append(message)
                return
        elif started and message["type"] == "http.response.body":
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            written = rewritten(bytes(body), language)
            MutableHeaders(scope=started[0])["content-length"] = str(len(written))
            await send(started[0])
            await send({"type": "http.response.body", "body": written})
            return
        await send(message)

    return sent


def rewritten(page: bytes, language: str) -> bytes:
    """Gradio's page with our head first in its own, and its language as it is."""
    head = (
        '<head><meta name="robots" content="noindex">'
        f'<link rel="icon" href="{ICON}"><script>{static_text("page.js")}</script>'
    )
    page = _STRANGERS.sub(b"", page)
    page = _HTML.sub(f'<html lang="{language}"'.encode(), page, count=1)
    return page.replace(b"<head>", head.encode(), 1)
