"""The API as the page hears it."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serving.page.client import (
    ApiProblem,
    Cancelled,
    PortraitApi,
    Preview,
    Queued,
    StageBegun,
    StepDone,
)
from serving.page.painting import Refused, State, Stopped, Underway, painting
from serving.page.wish import PersonWish, Wish
from serving.wire import OptimizeRequest, PortraitRequest

Handler = Callable[[httpx.Request], httpx.Response]


def api_of(handler: Handler) -> PortraitApi:
    """The API answered by a function."""
    return PortraitApi(lambda: "http://limner", transport=httpx.MockTransport(handler))


def stream_of(*messages: dict[str, object]) -> bytes:
    """Messages as server-sent events, a keep-alive between them."""
    return b": still painting\n\n".join(
        f"event: {m['type']}\ndata: {json.dumps(m)}\n\n".encode() for m in messages
    )


def answering(content: bytes, status: int = 200) -> Handler:
    """Always the same answer."""
    return lambda request: httpx.Response(status, content=content)


def painted(handler: Handler, wish: Wish) -> list[State]:
    """All states of a portrait that the API answers so."""

    async def look() -> list[State]:
        return [state async for state in painting(api_of(handler), "lim_k", wish)]

    return asyncio.run(look())


def test_events_are_told_in_order() -> None:
    stream = stream_of(
        {"type": "portrait.queued", "id": "p1"},
        {"type": "portrait.stage", "id": "p1", "stage": "denoise", "attempt": 1},
        {"type": "portrait.step", "id": "p1", "step": 1, "steps": 4, "attempt": 1},
        {"type": "portrait.partial_image", "id": "p1", "step": 1, "steps": 4,
         "b64_json": base64.b64encode(b"png").decode()},
        {"type": "portrait.something_new", "id": "p1"},
        {"type": "portrait.cancelled", "id": "p1"},
    )  # fmt: skip

    async def listen() -> list[object]:
        api = api_of(answering(stream))
        return [event async for event in api.paint("lim_k", PortraitRequest())]

    assert asyncio.run(listen()) == [
        Queued("p1"), StageBegun("denoise", 1), StepDone(1, 4, 1), Preview(1, 4, b"png"),
        Cancelled(),
    ]  # fmt: skip


def test_the_key_travels_in_the_header_only() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(401)

    async def ask() -> None:
        with pytest.raises(ApiProblem) as raised:
            await api_of(handler).optimize("lim_secret", OptimizeRequest(text="a hat"))
        assert raised.value.code == "signed_out"
        assert "lim_secret" not in str(raised.value)

    asyncio.run(ask())
    (request,) = seen
    assert request.headers["authorization"] == "Bearer lim_secret"
    assert "lim_secret" not in str(request.url)
    assert b"lim_secret" not in request.content


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b'{"error":{"message":"m","type":"t","code":"several_faces","boxes":[[1,2,3,4]]}}',
         422, "several_faces"),
        (b"<html>a proxy's page</html>", 502, "unknown"),
        (b'{"error":{"message":"m","unheard":"of"}}', 400, "unknown"),
    ],
)  # fmt: skip
def test_a_refusal_is_a_problem_whatever_it_looks_like(
    content: bytes, status: int, code: str
) -> None:
    states = painted(answering(content, status), Wish())
    assert isinstance(states[-1], Refused)
    assert states[-1].problem.code == code


def test_a_server_that_is_not_there_is_told_calmly() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    states = painted(refuse, Wish())
    assert isinstance(states[0], Underway)
    assert isinstance(states[-1], Refused)
    assert states[-1].problem.code == "unreachable"


def test_a_stream_that_breaks_off_is_no_success() -> None:
    stream = stream_of({"type": "portrait.queued", "id": "p1"})
    states = painted(answering(stream), Wish())
    assert isinstance(states[-1], Refused)


def test_a_cancelled_portrait_is_stopped_not_failed() -> None:
    stream = stream_of({"type": "portrait.cancelled", "id": "p1"})
    states = painted(answering(stream), Wish())
    assert states[-1] == Stopped()


def test_a_photo_that_is_gone_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing was to be sent")

    wish = Wish(people=(PersonWish(tmp_path / "gone.png"),))
    states = painted(never, wish)
    assert isinstance(states[-1], Refused)
    assert states[-1].problem.code == "image_rejected"
