"""What an answer says when there is none: every failure in OpenAI's error shape.

    Exception
    ├── ServingError (ValueError)       before anything listens: bad settings
    │   ├── KeyUnknown                  no key of that name or id
    │   ├── NameTaken                   a live key has that name already
    │   └── SecretMissing               what was sealed cannot be opened with the secret given
    └── ApiError                        an answer with a status
        ├── BadRequest 400              ├── TooLarge 413
        ├── Unauthorized 401            ├── Unprocessable 422
        ├── Forbidden 403               ├── TooMany 429
        ├── NotFound 404                ├── OverBudget 429
        ├── TooSlow 408                 ├── ServerFault 500
        ├── Conflict 409                └── Unavailable 503
        └── Gone 410

`translate` finds the answer to whatever the layers below raise. No message of theirs names a path,
for the server gives them bytes, never files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fusion import (
    BudgetExceeded,
    CurrencyMismatch,
    DrawingFailed,
    EngineBusy,
    EngineClosed,
    FaceAnalysisMissing,
    FusionCancelled,
    FusionError,
    IdentityUnsupported,
    InvalidEmbedding,
    InvalidIdentity,
    InvalidRequest,
    InvalidSize,
    InvalidWeights,
    TaskExpired,
    Unsupported,
)
from models import BackendUnavailable, FaceNotFound, FaceTooSmall, ImageRejected, SeveralFaces
from prompting import (
    ContradictoryAttributes,
    InvalidAttribute,
    PromptingError,
    PromptTooLong,
    UnknownAttribute,
    UnreadableText,
)

_NO_RETRY: Final = {"x-should-retry": "false"}
STORAGE_FAULTS: Final = (OperationalError, InterfaceError, InternalError, PoolTimeout)


class ServingError(ValueError):
    """Something the person who starts the server can mend."""


class KeyUnknown(ServingError):
    """No key of that name or id."""


class NameTaken(ServingError):
    """A live key has that name already."""


class SecretMissing(ServingError):
    """What was sealed cannot be opened with the secret given."""


Box = tuple[int, int, int, int]


class ErrorBody(BaseModel):
    """OpenAI's error object; boxes: of the faces, (left, top, right, bottom) in pixels."""

    model_config = ConfigDict(extra="forbid")

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    boxes: tuple[Box, ...] | None = None


class ErrorAnswer(BaseModel):
    """What every failure answers."""

    model_config = ConfigDict(extra="forbid")

    error: ErrorBody


class ApiError(Exception):
    """A failure with its status, its code and, in a line, what to do."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "server_error"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        boxes: tuple[Box, ...] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})
        self.body = ErrorBody(message=message, type=self.kind, param=param, code=code, boxes=boxes)

    @property
    def answer(self) -> ErrorAnswer:
        """The body of the answer."""
        return ErrorAnswer(error=self.body)


class BadRequest(ApiError):
    """A value that cannot be used."""

    status, kind = 400, "invalid_request_error"


class Unauthorized(ApiError):
    """No key, or one that is not known."""

    status, kind = 401, "authentication_error"


class Forbidden(ApiError):
    """A key that may not do this."""

    status, kind = 403, "permission_error"


class NotFound(ApiError):
    """No such thing, or not this tenant's."""

    status, kind = 404, "invalid_request_error"


class TooSlow(ApiError):
    """A body that does not arrive."""

    status, kind = 408, "invalid_request_error"


class Conflict(ApiError):
    """An idempotency key that was used for another request."""

    status, kind = 409, "invalid_request_error"


class Gone(ApiError):
    """A request that was cancelled."""

    status, kind = 410, "invalid_request_error"


class TooLarge(ApiError):
    """A body over the limit."""

    status, kind = 413, "invalid_request_error"


class Unprocessable(ApiError):
    """A picture that can be read, but not its faces."""

    status, kind = 422, "invalid_request_error"


class TooMany(ApiError):
    """A full queue, or more requests than the key allows."""

    status, kind = 429, "rate_limit_error"


class OverBudget(ApiError):
    """More than the key's budget allows: as OpenAI answers, and not worth another try."""

    status, kind = 429, "insufficient_quota"


class ServerFault(ApiError):
    """A fault of ours."""


class Unavailable(ApiError):
    """The server is ending, or not ready."""

    status = 503


_ANSWERS: Final[tuple[tuple[type[BaseException], type[ApiError], str], ...]] = (
    # The first that fits, so kinds come before what they are kinds of.
    (FaceNotFound, Unprocessable, "no_face_detected"),
    (FaceTooSmall, Unprocessable, "face_too_small"),
    (ImageRejected, BadRequest, "image_rejected"),
    (UnknownAttribute, BadRequest, "unknown_attribute"),
    (InvalidAttribute, BadRequest, "invalid_attribute"),
    (ContradictoryAttributes, BadRequest, "contradictory_attributes"),
    (UnreadableText, BadRequest, "unreadable_text"),
    (PromptTooLong, BadRequest, "prompt_too_long"),
    (PromptingError, BadRequest, "invalid_request"),
    (InvalidIdentity, BadRequest, "invalid_identity"),
    (InvalidWeights, BadRequest, "invalid_weights"),
    (InvalidEmbedding, BadRequest, "invalid_embedding"),
    (InvalidSize, BadRequest, "invalid_size"),
    (InvalidRequest, BadRequest, "invalid_request"),
    (IdentityUnsupported, BadRequest, "identity_unsupported"),
    (FaceAnalysisMissing, BadRequest, "face_analysis_missing"),
    (BackendUnavailable, BadRequest, "unsupported"),
    (Unsupported, BadRequest, "unsupported"),
    (FusionError, BadRequest, "invalid_request"),
    (FusionCancelled, Gone, "cancelled"),
    (TaskExpired, Unavailable, "expired"),
    (EngineBusy, TooMany, "queue_full"),
    (EngineClosed, Unavailable, "shutting_down"),
    (DrawingFailed, ServerFault, "drawing_failed"),
    (MemoryError, ServerFault, "out_of_memory"),
)
_KINDS: Final[Mapping[int, type[ApiError]]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        TooSlow,
        Conflict,
        Gone,
        TooLarge,
        Unprocessable,
        TooMany,
        ServerFault,
        Unavailable,
    )
}


def translate(error: BaseException) -> ApiError:
    """The answer to a failure of any layer; one that is not known tells nothing but that it was."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, SeveralFaces):
        boxes = tuple(tuple(round(side) for side in box) for box in error.boxes)
        return Unprocessable(
            "several_faces",
            f"{error.name} shows {len(boxes)} faces: say which one is meant, by `face` (or "
            "`target_face`), counted from 1 in the order of `boxes`",
            boxes=boxes,  # type: ignore[arg-type]  # four sides each
        )
    if isinstance(error, BudgetExceeded):
        return OverBudget("budget_exceeded", str(error), headers=_NO_RETRY)
    if isinstance(error, CurrencyMismatch):  # no fault of the code: who runs the server mends it
        return Forbidden("budget_unusable", str(error), headers=_NO_RETRY)
    if isinstance(error, STORAGE_FAULTS):  # locked, full, out of reach: their words name files
        return Unavailable(
            "storage_unavailable",
            "the server's database cannot be used at the moment: send the request again",
            headers={"Retry-After": "5"},
        )
    for kind, answer, code in _ANSWERS:
        if isinstance(error, kind):
            return answer(code, " ".join(str(error).split()))
    return ServerFault(
        "internal_error",
        "something broke on the server, which is no fault of the request: send it again, and tell "
        "whoever runs it the x-request-id of this answer",
    )


def recalled(status: int, body: ErrorBody) -> ApiError:
    """The failure that a job remembers."""
    kind = _KINDS.get(status, ServerFault)
    return kind(body.code or "error", body.message, param=body.param, boxes=body.boxes)
