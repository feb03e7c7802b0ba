"""The server's API as the page uses it: with the visitor's own key, as anybody would."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import ErrorAnswer, ErrorBody
from serving.wire import (
    ModelAnswer,
    ModelList,
    OptimizeRequest,
    PortraitAnswer,
    PortraitRequest,
    PromptAnswer,
)

_SHORT: Final = httpx.Timeout(15.0)
_LONG: Final = httpx.Timeout(15.0, read=600.0)  # a portrait may wait for its turn


class ApiProblem(Exception):
    """What the API answered instead, or "unreachable" and "signed_out", which are the page's."""

    def __init__(self, body: ErrorBody) -> None:
        super().__init__(body.message)
        self.body = body

    @property
    def code(self) -> str:
        """The API's error code."""
        return self.body.code or "unknown"


@dataclass(frozen=True)
class Queued:
    """The portrait was accepted; id is what it is cancelled by."""

    id: str


@dataclass(frozen=True)
class StageBegun:
    """A stage begins."""

    stage: str
    attempt: int


@dataclass(frozen=True)
class StepDone:
    """`step` of `steps` is done."""

    step: int
    steps: int
    attempt: int


@dataclass(frozen=True)
class Preview:
    """The picture on its way, encoded."""

    step: int
    steps: int
    picture: bytes


@dataclass(frozen=True)
class Completed:
    """The portrait, its pictures included."""

    portrait: PortraitAnswer


@dataclass(frozen=True)
class Cancelled:
    """It was cancelled, by whomever."""


Event = Queued | StageBegun | StepDone | Preview | Completed | Cancelled


class PortraitApi:
    """Calls of the API. base: its URL, asked for at every call, known once the server listens.

    transport: another way to the server than the network, for tests.
    """

    def __init__(
        self, base: Callable[[], str], *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._base = base
        self._transport = transport

    async def models(self, key: str) -> tuple[ModelAnswer, ...]:
        """The models that the server has. Raises ApiProblem."""
        answer = await self._ask("GET", "/v1/models", key)
        return ModelList.model_validate_json(answer).data

    async def optimize(self, key: str, request: OptimizeRequest) -> PromptAnswer:
        """The prompt that attributes and words come to. Raises ApiProblem."""
        body = request.model_dump_json(exclude_none=True)
        return PromptAnswer.model_validate_json(
            await self._ask("POST", "/v1/prompts/optimize", key, body)
        )

    async def forget(self, key: str, portrait: str) -> None:
        """Cancel a portrait and forget it. Raises ApiProblem."""
        await self._ask("DELETE", f"/v1/portraits/{portrait}", key)

    async def paint(self, key: str, request: PortraitRequest) -> AsyncIterator[Event]:
        """What happens to a portrait, as it happens. Leaving the iterator cancels it.

        Raises ApiProblem, also where the portrait itself fails.
        """
        body = request.model_dump_json(exclude_none=True)
        try:
            async with (
                self._client(key, _LONG) as client,
                client.stream("POST", "/v1/portraits", content=body) as answer,
            ):
                if answer.status_code >= 400:
                    raise problem_of(answer.status_code, await answer.aread())
                async for data in _data(answer.aiter_lines()):
                    event = event_of(data)
                    if event is not None:
                        yield event
        except httpx.HTTPError as error:
            raise unreachable() from error

    async def _ask(self, method: str, path: str, key: str, body: str | None = None) -> bytes:
        try:
            async with self._client(key, _SHORT) as client:
                answer = await client.request(method, path, content=body)
        except httpx.HTTPError as error:
            raise unreachable() from error
        if answer.status_code >= 400:
            raise problem_of(answer.status_code, answer.content)
        return answer.content

    def _client(self, key: str, timeout: httpx.Timeout) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._base(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=timeout,
            transport=self._transport,
            trust_env=False,  # a proxy of the machine has no place between the page and its server
        )


class _Message(BaseModel):
    """Any of the stream's messages; what a message lacks is None."""

    model_config = ConfigDict(extra="ignore")

    type: str
    id: str = ""
    stage: str = ""
    attempt: int = 1
    step: int = 0
    steps: int = 0
    b64_json: str = ""
    portrait: PortraitAnswer | None = None
    error: ErrorBody | None = None


def event_of(data: str) -> Event | None:
    """The event of one message; None for one that the page has no use for.

    Raises ApiProblem for a portrait that failed.
    """
    message = _Message.model_validate_json(data)
    match message.type:
        case "portrait.queued":
            return Queued(message.id)
        case "portrait.stage":
            return StageBegun(message.stage, message.attempt)
        case "portrait.step":
            return StepDone(message.step, message.steps, message.attempt)
        case "portrait.partial_image":
            return Preview(message.step, message.steps, base64.b64decode(message.b64_json))
        case "portrait.completed" if message.portrait is not None:
            return Completed(message.portrait)
        case "portrait.cancelled":
            return Cancelled()
        case "portrait.failed":
            raise ApiProblem(message.error or _plain("internal_error", "the portrait failed"))
    return None


def problem_of(status: int, content: bytes) -> ApiProblem:
    """The problem that an answer tells, whatever it is made of."""
    if status == 401:
        return ApiProblem(_plain("signed_out", "the server does not take this key any more"))
    try:
        return ApiProblem(ErrorAnswer.model_validate_json(content).error)
    except ValidationError:
        pass
    try:
        message = str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the server answered with status {status}"
    return ApiProblem(_plain("unknown", message))


def unreachable() -> ApiProblem:
    """The problem of a server that does not answer."""
    return ApiProblem(_plain("unreachable", "the server does not answer"))


def _plain(code: str, message: str) -> ErrorBody:
    return ErrorBody(message=message, type="page_error", code=code)


async def _data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The data of server-sent events, one string for each; comments are keep-alives."""
    collected: list[str] = []
    async for line in lines:
        if line.startswith("data:"):
            collected.append(line[5:].removeprefix(" "))
        elif not line and collected:
            data = "\n".join(collected)
            collected = []
            if data != "[DONE]":
                yield data
    if collected and collected != ["[DONE]"]:
        yield "\n".join(collected)
