"""How long the device takes for a batch, measured where it computes, and never far ahead of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch

_CUDA: Final[Any] = torch.cuda  # half of it is not typed


@dataclass(frozen=True)
class Started:
    """When a batch began: seconds on the CPU's clock, or an event of a CUDA device."""

    device: torch.device
    seconds: float
    event: Any = None


class Stopwatch:
    """Tells what each batch took. On CUDA that is known when the batch has been computed, so each
    is settled after the next was queued: the device is kept busy and at most one batch behind, and
    who joins need not wait for what was queued long before.
    """

    def __init__(self) -> None:
        self._open: tuple[Started, Any, Callable[[float], None]] | None = None

    def start(self, device: torch.device) -> Started:
        """Before a batch is queued on a device."""
        event = _recorded(device) if device.type == "cuda" else None
        return Started(device, time.perf_counter(), event)

    def stop(self, started: Started, tell: Callable[[float], None]) -> None:
        """After it was queued; `tell` is given its seconds, at once on a CPU."""
        if started.event is None:
            tell(time.perf_counter() - started.seconds)
            return
        ended = _recorded(started.device)
        self.settle()
        self._open = (started, ended, tell)

    def settle(self) -> None:
        """Wait for the last batch, if it is still open, and tell its seconds."""
        if self._open is None:
            return
        (started, ended, tell), self._open = self._open, None
        ended.synchronize()
        tell(started.event.elapsed_time(ended) / 1000)


def _recorded(device: torch.device) -> Any:
    with _CUDA.device(device):
        event = _CUDA.Event(enable_timing=True)
        event.record()
    return event
