"""Energy of a GPU, from its own counter; what has none is not measured, and never estimated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch

_log = logging.getLogger(__name__)

EnergyCounter = Callable[[], int | None]  # millijoules, ever rising; None: it counts no more


def energy_counter(device: torch.device) -> EnergyCounter | None:
    """A device's counter; None where nothing measures it: no NVIDIA GPU, no NVML (extra `gpu`), or
    a GPU (or a part of one) that does not count.

    It counts the whole GPU: what others compute on it meanwhile is in it.
    """
    if device.type != "cuda":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        unique = torch.cuda.get_device_properties(device).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{unique}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception as error:  # no library, no driver, no permission, no such counter
        _log.info("energy is not measured: %s", error)
        return None

    def count() -> int | None:
        try:
            return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        except pynvml.NVMLError as error:  # a drawing is not to fail over it
            _log.warning("energy is not measured any more: %s", error)
            return None

    return count


def shared(amount: int, weights: Sequence[int]) -> list[int]:
    """A whole amount in whole parts by weight, which add up to it. weights: one is above 0."""
    total, parts, before, given = sum(weights), [], 0, 0
    for weight in weights:
        before += weight
        parts.append(amount * before // total - given)
        given += parts[-1]
    return parts
