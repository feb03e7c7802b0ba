"""What the desk says no with: failures of jobs and of whole requests, and who was turned away."""

from __future__ import annotations

import threading
import time
from collections import deque

from serving.errors import ApiError, Conflict, NotFound, Unavailable, recalled
from serving.feed import Outcome
from serving.keys import ApiKey


class TurnedAway:
    """First tries that were refused: their retries are no retries of an older twin. Safe to share
    between threads.
    """

    def __init__(self, seconds: float, most: int = 10_000) -> None:
        """seconds: for how long a retry may follow."""
        self._seconds = seconds
        self._entries: deque[tuple[float, str, str]] = deque(maxlen=most)
        self._lock = threading.Lock()

    def note(self, key: ApiKey, digest: str) -> None:
        """A request was turned away; digest: of what it asked for, empty where it was not read."""
        with self._lock:
            self._entries.append((time.time(), key.id, digest))

    def was(self, key: ApiKey, digest: str) -> bool:
        """Whether one was, which counts for one retry."""
        since = time.time() - self._seconds
        with self._lock:
            for entry in self._entries:
                if entry[0] >= since and entry[1:] == (key.id, digest):
                    self._entries.remove(entry)
                    return True
        return False


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


def check(outcome: Outcome) -> None:
    """Raises what a job failed with, as its answer."""
    packet = outcome.job.packet
    if packet.failure is not None:
        raise recalled(packet.failure.status, packet.failure.error)
    if packet.report is None:
        raise ending()


def same(job_id: str, found: str, digest: str) -> str:
    """The job, if it was the same request. Raises Conflict."""
    if found != digest:
        raise Conflict(
            "idempotency_conflict",
            "this Idempotency-Key was used for another request: take a new key for a new request",
            headers={"x-should-retry": "false"},
        )
    return job_id


def ending() -> ApiError:
    """The server takes no more."""
    return Unavailable(
        "shutting_down",
        "the server is about to end: what it has accepted is not lost, send the request again in "
        "some seconds",
        headers={"Retry-After": "3"},
    )


def unknown(job_id: str) -> ApiError:
    """No such job."""
    return NotFound("not_found", f"there is no request {job_id}, or it was forgotten meanwhile")


def numbered(error: ApiError, number: int) -> ApiError:
    """The failure of one request of a batch."""
    error.body = error.body.model_copy(
        update={
            "message": f"requests.{number}: {error.body.message}",
            "param": f"requests.{number}" + (f".{error.body.param}" if error.body.param else ""),
        }
    )
    return error
