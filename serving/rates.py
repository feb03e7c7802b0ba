"""How often a key may ask: a token bucket for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Allowance:
    """Whether a request may pass. remaining: whole requests left; seconds: until the next one."""

    granted: bool
    limit: int
    remaining: int
    seconds: float


class RateLimiter:
    """Buckets that hold a minute's requests and refill evenly. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was so
        self._lock = threading.Lock()

    def take(self, key_id: str, per_minute: int) -> Allowance:
        """Take one request from the key's bucket, if there is one."""
        now, pace = self._clock(), per_minute / 60
        with self._lock:
            left, then = self._buckets.get(key_id, (float(per_minute), now))
            left = min(left + (now - then) * pace, float(per_minute))
            granted = left >= 1
            left -= granted
            self._buckets[key_id] = (left, now)
        return Allowance(granted, per_minute, int(left), max(0.0, (1 - left) / pace))
