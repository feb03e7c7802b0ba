"""How much memory the process and the device hold, in bytes."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    import torch

# ru_maxrss is in kibibytes, except on macOS where it is in bytes.
_MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def memory_share(device: torch.device | None) -> float:
    """How full the memory is that pictures are drawn in, 0 to 1: a CUDA device's, else what this
    process holds of the machine's, or of what a container may take (its control group version 2).
    """
    if device is not None and device.type == "cuda":
        import torch  # the task and its trace are read without it

        free, total = torch.cuda.mem_get_info(device)
        # What the allocator has reserved and not given out is free to us.
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return 1 - (free + spare) / total
    return resident_bytes() / _most_bytes()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says so: a GPU's has a class of its own, a CPU's and cuBLAS' have words only."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and any(
        words in said for words in ("not enough memory", "can't allocate memory", "ALLOC_FAILED")
    )


def free_device_memory() -> None:
    """Give back what torch keeps of the GPU's memory for later."""
    import torch

    cuda: Any = torch.cuda  # half of it is not typed
    if cuda.is_initialized():
        cuda.empty_cache()


def return_memory() -> None:
    """Give back all memory that is free: what only cycles hold, what torch keeps of a GPU's, and
    what the C library keeps of the process's (glibc keeps most of a model it was asked to free).
    """
    gc.collect()
    free_device_memory()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _most_bytes() -> int:
    total = int(psutil.virtual_memory().total)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def resident_bytes() -> int:
    """Resident memory of this process now."""
    return int(psutil.Process().memory_info().rss)


def peak_resident_bytes() -> int:
    """The most memory this process has held since it started.

    By Linux's VmHWM: ru_maxrss survives exec, so that a child would tell its parent's peak.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT_BYTES


def peak_device_bytes(device: torch.device) -> int:
    """The most memory allocated on a CUDA device since the process started; 0 elsewhere."""
    if device.type != "cuda":
        return 0
    import torch  # the task and its trace are read without it

    return int(torch.cuda.max_memory_allocated(device))
