"""The door: nobody without a key gets in, and the key is shown to nobody."""

import asyncio
from collections.abc import Awaitable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from serving.page.client import PortraitApi
from serving.page.front import Front, rewritten
from serving.page.guard import KEY_COOKIE, KeyCheck, PageGuard
from serving.page.login import Login

KEY = "lim_abcdefghijkl_0123456789012345678901234567890123456789012"
SITE = "http://limner.test"


class Door:
    """A page behind its door, over an API that knows one key, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_up = True
        self.is_busy = False
        self.now = 0.0
        api = PortraitApi(lambda: "http://api", transport=httpx.MockTransport(self._api))
        check = KeyCheck(api, clock=lambda: self.now)
        page = Front(Starlette(routes=[Route("/{rest:path}", _page, methods=["GET", "POST"])]))
        guard = PageGuard(page, check=check, login="/page/login")
        self.app = Starlette(routes=[*Login("/page", check).routes, Mount("/page", guard)])

    def _api(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.is_busy:
            error = {"message": "too often", "type": "rate_limit_error", "code": "rate_limited"}
            return httpx.Response(429, json={"error": error})
        if not self.is_up:
            raise httpx.ConnectError("down")
        if request.headers["authorization"] != f"Bearer {KEY}":
            return httpx.Response(401)
        return httpx.Response(200, json={"object": "list", "data": []})

    def visit(self, path: str, method: str = "GET", **options: object) -> httpx.Response:
        """One request, redirects not followed."""
        transport = httpx.ASGITransport(app=self.app)

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
                return await client.request(method, path, **options)  # type: ignore[arg-type]

        return asyncio.run(ask())

    def inside(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """One request of who is signed in."""
        given = {"cookie": f"{KEY_COOKIE}={KEY}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.visit(path, method, headers=given)


async def _page(request: Request) -> Response:
    if request.path_params["rest"] == "":
        return HTMLResponse('<html lang="en"><head><title>Gradio</title></head></html>')
    return JSONResponse({"secret": "the page"})


@pytest.fixture
def door() -> Door:
    """A new door."""
    return Door()


@pytest.mark.parametrize(
    "path",
    ["/page/", "/page/gradio_api/info", "/page/config", "/page/assets/a.js", "/page//config",
     "/page/gradio_api/file=/etc/passwd", "/page/login/../config"],
)  # fmt: skip
@pytest.mark.parametrize("cookie", ["", f"{KEY_COOKIE}=lim_other", f"{KEY_COOKIE}=", "a=b; ;;="])
def test_nothing_is_seen_without_a_key(door: Door, path: str, cookie: str) -> None:
    answer = door.visit(path, headers={"cookie": cookie})
    assert "secret" not in answer.text
    assert answer.status_code in (303, 401, 404)
    if answer.status_code == 303:
        assert answer.headers["location"] == "/page/login"


def test_nothing_is_done_without_a_key(door: Door) -> None:
    assert door.visit("/page/gradio_api/queue/join", "POST").status_code == 401


def test_who_has_a_key_sees_the_page(door: Door) -> None:
    assert door.inside("/page/config").json() == {"secret": "the page"}


def test_a_page_of_another_site_can_do_nothing_with_the_cookie(door: Door) -> None:
    for headers in (
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://elsewhere.test"},
        {"origin": "null"},
    ):
        assert door.inside("/page/queue/join", "POST", **headers).status_code == 403
    for headers in ({"sec_fetch_site": "same-origin"}, {"origin": SITE}, {}):
        assert door.inside("/page/queue/join", "POST", **headers).status_code == 200


def test_a_link_with_the_key_signs_in_and_hides_it(door: Door) -> None:
    answer = door.visit(f"/page?key={KEY}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/page/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{KEY_COOKIE}={KEY};")
    for part in ("HttpOnly", "SameSite=strict", "Path=/page"):
        assert part in cookie
    assert "Secure" not in cookie
    assert KEY not in answer.headers["location"] + answer.text


def test_over_https_the_cookie_is_for_https_only(door: Door) -> None:
    answer = door.visit(f"https://limner.test/page?key={KEY}")
    assert "Secure" in answer.headers["set-cookie"]


def test_no_access_log_would_have_the_key(door: Door) -> None:
    scopes: list[dict[str, object]] = []
    inner = door.app

    async def logging(scope: dict[str, object], *rest: Awaitable[None]) -> None:
        scopes.append(scope)
        await inner(scope, *rest)  # type: ignore[arg-type]

    door.app = logging  # type: ignore[assignment]
    door.visit(f"/page?key={KEY}")
    assert scopes[0]["query_string"] == b""


def test_a_link_on_another_site_signs_nobody_in(door: Door) -> None:
    answer = door.visit(f"/page?key={KEY}", headers={"sec-fetch-site": "cross-site"})
    assert answer.headers["location"] == "/page/login"
    assert "set-cookie" not in answer.headers


def test_a_pasted_key_signs_in(door: Door) -> None:
    answer = door.visit("/page/login", "POST", data={"key": f"  {KEY}\n"})
    assert answer.status_code == 303
    assert KEY_COOKIE in answer.headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "lim_other", "kéy", "lim_\r\nset-cookie: a=b", "x" * 600])
def test_a_wrong_key_is_told_so_and_not_repeated(door: Door, key: str) -> None:
    answer = door.visit("/page/login", "POST", data={"key": key})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers
    assert not key or key not in answer.text


def test_a_form_beyond_measure_is_not_read(door: Door) -> None:
    answer = door.visit("/page/login", "POST", content=b"key=" + b"x" * 100_000)
    assert answer.status_code == 413


def test_the_login_speaks_both_languages(door: Door) -> None:
    chinese = door.visit("/page/login", headers={"accept-language": "zh-CN"})
    assert 'lang="zh-CN"' in chinese.text
    assert "密钥" in chinese.text
    chosen = door.visit("/page/login?language=en", headers={"accept-language": "zh-CN"})
    assert "Paste your key" in chosen.text
    assert "limner_language=en" in chosen.headers["set-cookie"]
    odd = door.visit('/page/login?language="><script>')
    assert "<script>" not in odd.text.replace("<script src", "")


def test_signing_out_takes_the_cookie_away(door: Door) -> None:
    answer = door.inside("/page/leave")
    assert answer.headers["location"] == "/page/login"
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_a_revoked_key_is_out_after_half_a_minute(door: Door) -> None:
    assert door.inside("/page/config").status_code == 200
    assert door.inside("/page/config").status_code == 200
    assert door.asked == 1, "a key is not asked for at every picture"
    door.now = 31.0
    door.inside("/page/config")
    assert door.asked == 2


def test_who_asked_too_often_is_not_shut_out_and_nobody_else_let_in(door: Door) -> None:
    assert door.inside("/page/config").status_code == 200
    door.is_busy, door.now = True, 31.0
    assert door.inside("/page/config").status_code == 200
    other = {"cookie": f"{KEY_COOKIE}=lim_other"}
    assert door.visit("/page/config", headers=other).status_code == 503


def test_where_keys_cannot_be_checked_nobody_gets_in(door: Door) -> None:
    door.is_up = False
    assert door.inside("/page/config").status_code == 503
    assert door.visit(f"/page?key={KEY}").status_code == 503
    assert door.inside("/page/login/state").json() == {"known": False}


def test_every_answer_stays_at_home(door: Door) -> None:
    for answer in (
        door.visit("/page/login"), door.visit("/page/config"), door.inside("/page/config"),
        door.inside("/page/"), door.visit("/page/login/login.css"), door.inside("/page/leave"),
    ):  # fmt: skip
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy, "nothing from elsewhere"


def test_the_page_begins_with_our_own_head(door: Door) -> None:
    page = door.visit(
        "/page/", headers={"cookie": f"{KEY_COOKIE}={KEY}", "accept-language": "zh-CN"}
    )
    assert int(page.headers["content-length"]) == len(page.content)
    assert '<html lang="zh-CN"' in page.text
    assert page.text.index("limnerTheme") < page.text.index("<title>")


def test_strangers_are_taken_out_of_the_head() -> None:
    page = b'<head><meta\n property="og:image"\n content="https://elsewhere/a.jpg"\n/><title>'
    assert b"elsewhere" not in rewritten(page, "en")
