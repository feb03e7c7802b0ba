"""How much memory the process and the device hold, in bytes."""

from __future__ import annotations

import resource
import sys
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import torch

# ru_maxrss is in kibibytes, except on macOS where it is in bytes.
_MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def resident_bytes() -> int:
    """Resident memory of this process now."""
    return int(psutil.Process().memory_info().rss)


def peak_resident_bytes() -> int:
    """The most memory this process has held since it started."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT_BYTES


def peak_device_bytes(device: torch.device) -> int:
    """The most memory allocated on a CUDA device since the process started; 0 elsewhere."""
    if device.type != "cuda":
        return 0
    import torch  # the task and its trace are read without it

    return int(torch.cuda.max_memory_allocated(device))
