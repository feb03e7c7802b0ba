"""An engine's requests in the ledger: reserved as they are taken, settled as they end."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from fusion.ledger.accounts import Ending, Opening
from fusion.ledger.items import Quantity, quantities_of, quantities_spent
from fusion.progress import Handle
from fusion.resolved import ResolvedRequest
from fusion.result import FusionResult
from fusion.source import ModelSource
from fusion.task import FusionTask, TaskState
from fusion.usage import Usage, nanoseconds

if TYPE_CHECKING:
    from fusion.ledger.ledger import Ledger  # not at run time: SQLAlchemy comes with it

_log = logging.getLogger("limner.ledger")
_ENDINGS = {
    TaskState.DONE: Ending.DONE,
    TaskState.FAILED: Ending.FAILED,
    TaskState.CANCELLED: Ending.CANCELLED,
    TaskState.EXPIRED: Ending.EXPIRED,
}
_LATE = "the ledger could not be written: what this took is booked later"


class Pace:
    """How long a picture through the denoiser took here so far, on average. Thread-safe."""

    def __init__(self) -> None:
        self._evaluations = self._nanoseconds = 0
        self._lock = threading.Lock()

    def took(self, usage: Usage) -> None:
        """A request has ended."""
        with self._lock:
            self._evaluations += usage.denoiser_evaluations + usage.shallow_evaluations
            self._nanoseconds += nanoseconds(usage.denoiser_seconds)

    def remember(self, evaluations: int, nanoseconds: int) -> None:
        """So many took so long before there was this engine."""
        with self._lock:
            self._evaluations += evaluations
            self._nanoseconds += nanoseconds

    def nanoseconds(self, evaluations: int) -> int:
        """So many may take; 0 before anything was drawn."""
        with self._lock:
            return evaluations * self._nanoseconds // max(self._evaluations, 1)


def expected_of(resolved: ResolvedRequest, pace: Pace) -> tuple[Quantity, ...]:
    """The most that a request should take: every attempt the identity gate may ask for, with all
    its steps, at the pace so far.
    """
    attempts = 1 + (resolved.max_retries if resolved.gated else 0)
    branches = 2 if resolved.guidance_scale > 1 else 1
    drawings = resolved.count * attempts
    evaluations = drawings * resolved.steps * branches
    return (
        Quantity("images", resolved.count),
        Quantity("attempts", drawings),
        Quantity("denoiser_evaluations", evaluations),
        Quantity("denoiser_time", pace.nanoseconds(evaluations)),
    )


def opening_of(
    resolved: ResolvedRequest, source: ModelSource, request_id: str, expected: tuple[Quantity, ...]
) -> Opening:
    """A request as it is opened in the book, without tenant and key."""
    words = resolved.words
    named = tuple(words.attributes.model_dump(exclude_defaults=True))
    said = "prompt" if words.given else "text" if words.text else ""
    return Opening(
        id=request_id,
        bundle=source.name,
        bundle_digest=source.digest,
        kind="fusion" if resolved.fuses else "portrait",
        template=(*named, said) if said else named,
        expected=expected,
    )


class Bookkeeper:
    """Books an engine's requests, where it was given a ledger; keeps the pace in any case."""

    def __init__(self, ledger: Ledger | None, source: ModelSource) -> None:
        self.pace = Pace()
        if ledger is not None:
            known = ledger.recent_pace(source.name)
            self.pace.remember(known.evaluations, known.nanoseconds)
        self._ledger, self._source = ledger, source

    def opened(self, task: FusionTask, resolved: ResolvedRequest) -> None:
        """A request is about to be taken. Raises BudgetExceeded, AlreadyReserved,
        LedgerUnavailable.
        """
        if self._ledger is None:
            return
        expected = expected_of(resolved, self.pace)
        opening = opening_of(resolved, self._source, task.id, expected)
        self._ledger.reserve(replace(opening, tenant=task.namespace))

    def refused(self, task: FusionTask) -> None:
        """It was not taken after all."""
        if self._ledger is not None:
            self._released(self._ledger, task.id)

    def done(self, result: FusionResult) -> FusionResult:
        """A request has its result, which is given with its account."""
        self.pace.took(result.usage)
        if self._ledger is None:
            return result
        try:
            account = self._ledger.settle(result.task.id, quantities_of(result.usage))
        except Exception as error:  # whatever is wrong with the books, the picture is there
            _log.exception("request %s could not be booked", result.task.id)
            self._released(self._ledger, result.task.id)
            said = f"it is not in the ledger: {error}"
            return replace(result, warnings=(*result.warnings, said))
        if account is None:
            return replace(result, warnings=(*result.warnings, _LATE))
        return replace(result, account=account)

    def ended(self, handle: Handle, state: TaskState) -> None:
        """A request has ended without one."""
        if self._ledger is None:
            return
        try:
            spent = quantities_spent(handle.spent)
            self._ledger.settle(handle.task.id, spent, _ENDINGS[state])
        except Exception:
            _log.exception("request %s could not be booked", handle.task.id)
            self._released(self._ledger, handle.task.id)

    @staticmethod
    def _released(ledger: Ledger, request_id: str) -> None:
        """Nothing is held for it any more, whatever it was that could not be booked."""
        try:
            ledger.settle(request_id, (), Ending.RELEASED)
        except Exception:  # what went wrong before is the news
            _log.exception("request %s could not be released", request_id)
