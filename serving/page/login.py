"""The door: a small page where a key is pasted, and links that carry one."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from string import Template
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from serving.page.client import ApiProblem
from serving.page.guard import (
    KEY_COOKIE,
    LOGIN_POLICY,
    KeyCheck,
    is_same_origin,
    key_of,
    with_headers,
)
from serving.page.words import (
    ICON,
    LANGUAGE_COOKIE,
    LANGUAGES,
    Language,
    chosen_language,
    other_language,
    static_text,
    words,
)

_LONGEST_KEY: Final = 512
_LONGEST_FORM: Final = 4096


class Login:
    """The routes of the door, for a page at `path` ("/page")."""

    def __init__(self, path: str, check: KeyCheck) -> None:
        self._path = path
        self._check = check

    @property
    def routes(self) -> list[Route]:
        """What is open to everybody; they go before the page itself."""
        return [
            Route(self._path, _Private(self._enter), methods=["GET"]),
            Route(f"{self._path}/login", _Private(self._show), methods=["GET"]),
            Route(f"{self._path}/login", _Private(self._sign_in), methods=["POST"]),
            Route(f"{self._path}/login/state", _Private(self._state), methods=["GET"]),
            Route(f"{self._path}/login/login.css", _Private(_style), methods=["GET"]),
            Route(f"{self._path}/login/login.js", _Private(_script), methods=["GET"]),
            Route(f"{self._path}/leave", _Private(self._leave), methods=["GET", "POST"]),
        ]

    async def _enter(self, request: Request) -> Response:
        """/page, and /page?key=…, a link that carries a key as Jupyter's do."""
        key = request.query_params.get("key")
        request.scope["query_string"] = b""  # so that no access log has the key
        if key is None:
            return _to(request, f"{self._path}/")
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # Somebody else's page may not choose whose key a visitor's pictures go under.
            return _to(request, f"{self._path}/login")
        return await self._with_key(request, key)

    async def _show(self, request: Request) -> Response:
        language = request.query_params.get("language", "")
        answer = self._page(request, "", wanted=language)
        if language in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, language, path="/", samesite="lax")
        return answer

    async def _sign_in(self, request: Request) -> Response:
        if not is_same_origin(request.headers):
            return HTMLResponse("this request came from another site", 403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_FORM:
                return self._page(request, "login.wrong", status=413)
        return await self._with_key(request, _pasted(body))

    async def _state(self, request: Request) -> Response:
        """Whether a visitor is signed in: a link from elsewhere comes without the strict cookie."""
        try:
            known = await self._check.is_valid(key_of(request.headers))
        except ApiProblem:
            known = False
        return JSONResponse({"known": known})

    async def _leave(self, request: Request) -> Response:
        answer = _to(request, f"{self._path}/login")
        answer.delete_cookie(KEY_COOKIE, path=_root(request) + self._path, samesite="strict")
        return answer

    async def _with_key(self, request: Request, key: str) -> Response:
        try:
            known = len(key) <= _LONGEST_KEY and await self._check.is_valid(key)
        except ApiProblem:
            return self._page(request, "login.unreachable", status=503)
        if not known:
            return self._page(request, "login.wrong", status=401)
        answer = _to(request, f"{self._path}/")
        answer.set_cookie(
            KEY_COOKIE,
            key,
            path=_root(request) + self._path,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    def _page(
        self, request: Request, problem: str, *, status: int = 200, wanted: str = ""
    ) -> HTMLResponse:
        language: Language = chosen_language(
            wanted or request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")
        )
        say = words(language)
        notice = ""
        if problem:
            notice = f'<p class="notice" role="alert">{html.escape(say(problem))}</p>'
        return HTMLResponse(
            Template(static_text("login.html")).substitute(
                language="zh-CN" if language == "zh" else "en",
                title=html.escape(say("login.title")),
                tagline=html.escape(say("page.tagline")),
                lead=html.escape(say("login.lead")),
                key=html.escape(say("login.key")),
                enter=html.escape(say("login.enter")),
                hint=html.escape(say("login.hint")),
                other=other_language(language),
                other_name=html.escape(say("page.language")),
                icon=ICON,
                notice=notice,
                home=html.escape(_root(request) + self._path),
            ),
            status,
        )


class _Private:
    """An endpoint as an ASGI app, with the login's headers on every answer."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._endpoint(Request(scope, receive))
        await answer(scope, receive, with_headers(send, LOGIN_POLICY))


async def _style(request: Request) -> Response:
    return Response(static_text("login.css"), media_type="text/css")


async def _script(request: Request) -> Response:
    return Response(static_text("login.js"), media_type="text/javascript")


def _pasted(body: bytes) -> str:
    """The key of a posted form, without the blanks that pasting brings."""
    return parse_qs(body.decode("ascii", "replace")).get("key", [""])[0].strip()


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).removesuffix("/")


def _to(request: Request, path: str) -> RedirectResponse:
    return RedirectResponse(_root(request) + path, 303)
