"""What the routes stand on, handed to each by FastAPI; never a global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from serving.database import Database
from serving.desk import Asked, Desk
from serving.errors import BadRequest, Forbidden, NotFound
from serving.events import client_gone
from serving.intake import Payloads
from serving.keys import ApiKey, Scope
from serving.metrics import Metrics
from serving.packet import Order
from serving.settings import Limits, ServerSettings
from serving.wire import ModelAnswer

LONGEST_IDEMPOTENCY_KEY = 200


@dataclass(frozen=True, eq=False)
class Context:
    """What one server is made of, as its routes need it."""

    desk: Desk
    database: Database
    settings: ServerSettings
    metrics: Metrics
    model: ModelAnswer

    def check_model(self, name: str | None) -> None:
        """Refuse a model that is not served here. Raises NotFound."""
        served = (self.model.id, *self.settings.aliases)
        if name is not None and name not in served:
            raise NotFound(
                "model_not_found",
                f"there is no model of that name here: served is {', '.join(served)}",
                param="model",
            )


async def context_of(request: Request) -> Context:  # async: no thread is needed for that
    """The server's."""
    return cast(Context, request.app.state.context)


def key_of(request: Request) -> ApiKey:
    """The key that the request came with."""
    return cast(ApiKey, request.state.key)


Here = Annotated[Context, Depends(context_of)]


def needs(scope: Scope) -> Callable[[Request], Awaitable[ApiKey]]:
    """A dependency: the request's key, which must have the scope. It raises Forbidden."""

    async def checked(request: Request) -> ApiKey:
        key = key_of(request)
        if not key.may(scope):
            raise Forbidden(
                "permission_denied",
                f"this key lacks the scope {scope}: have one made with `limner keys add NAME "
                f"--scope {scope}`",
            )
        return key

    return checked


Reader = Annotated[ApiKey, Depends(needs(Scope.READ))]
Painter = Annotated[ApiKey, Depends(needs(Scope.DRAW))]
MetricsReader = Annotated[ApiKey, Depends(needs(Scope.METRICS))]


def idempotency_key_of(request: Request) -> str | None:
    """The Idempotency-Key of a request. Raises BadRequest for one that is none."""
    name = request.headers.get("idempotency-key")
    if name is not None and not (
        0 < len(name) <= LONGEST_IDEMPOTENCY_KEY and name.isascii() and name.isprintable()
    ):
        raise BadRequest(
            "invalid_request",
            f"an Idempotency-Key is 1 to {LONGEST_IDEMPOTENCY_KEY} plain signs",
            param="Idempotency-Key",
        )
    return name


def asking(
    request: Request, key: ApiKey, limits: Limits, order_of: Callable[[Payloads], Order], keep: bool
) -> Callable[[], Asked]:
    """What reads the request for the desk, with what its headers say of earlier tries.

    order_of: makes the order and keeps its pictures; may raise BadRequest and ImageRejected.
    Raises BadRequest.
    """
    name = idempotency_key_of(request)
    tries = request.headers.get("x-stainless-retry-count", "0")

    def ask() -> Asked:
        payloads = Payloads(limits)
        return Asked(
            order_of(payloads),
            payloads,
            key,
            is_retry=tries.isdecimal() and len(tries) < 6 and int(tries) > 0,
            idempotency_key=name,
            keep=keep or name is not None,
        )

    return ask


def leaving(request: Request) -> Callable[[], Awaitable[None]]:
    """What returns once the client has left."""

    async def gone() -> None:
        await client_gone(request.receive)

    return gone
