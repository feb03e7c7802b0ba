"""How long the device takes for a batch, and how much energy, measured where it computes, and never
far ahead of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch

from fusion.energy import EnergyCounter, energy_counter

Tell = Callable[[float, int | None], None]  # seconds, millijoules (None: not measured)
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

    Energy is what the device's counter has gone on by since the batch before was settled, or since
    this one was begun where nothing was before it: what an idle device takes is nobody's.
    """

    def __init__(
        self, energy_of: Callable[[torch.device], EnergyCounter | None] = energy_counter
    ) -> None:
        """energy_of: a device's counter, asked for once for each device."""
        self._energy_of = energy_of
        self._counters: dict[torch.device, EnergyCounter | None] = {}
        self._counted = 0  # millijoules when it was last looked at
        self._open: tuple[Started, Any, Tell] | None = None

    def start(self, device: torch.device) -> Started:
        """Before a batch is queued on a device."""
        if device not in self._counters:
            self._counters[device] = self._energy_of(device)
        if self._open is None:
            self._spent(device)
        event = _recorded(device) if device.type == "cuda" else None
        return Started(device, time.perf_counter(), event)

    def stop(self, started: Started, tell: Tell) -> None:
        """After it was queued; `tell` is given its seconds and millijoules, at once on a CPU."""
        if started.event is None:
            tell(time.perf_counter() - started.seconds, self._spent(started.device))
            return
        ended = _recorded(started.device)
        self.settle()
        self._open = (started, ended, tell)

    def settle(self) -> None:
        """Wait for the last batch, if it is still open, and tell what it took."""
        if self._open is None:
            return
        (started, ended, tell), self._open = self._open, None
        ended.synchronize()
        tell(started.event.elapsed_time(ended) / 1000, self._spent(started.device))

    def _spent(self, device: torch.device) -> int | None:
        """Millijoules since it was last looked at."""
        counter = self._counters[device]
        counted = None if counter is None else counter()
        if counted is None:
            self._counters[device] = None
            return None
        before, self._counted = self._counted, counted
        return max(counted - before, 0)


def _recorded(device: torch.device) -> Any:
    with _CUDA.device(device):
        event = _CUDA.Event(enable_timing=True)
        event.record()
    return event
