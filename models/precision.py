"""Where and how exactly to compute: the device and the precision a request of "auto" gets."""

from __future__ import annotations

import torch

from models.errors import DeviceUnavailable

_PRECISIONS = {
    "fp32": torch.float32,
    "float32": torch.float32,
    "fp16": torch.float16,
    "float16": torch.float16,
    "bf16": torch.bfloat16,
    "bfloat16": torch.bfloat16,
}


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device asked for; "auto" is CUDA if there is one, else Apple's MPS, else the CPU.

    Raises DeviceUnavailable for one that this machine does not have.
    """
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceUnavailable(
            f"device {str(device)!r} is not known; give auto, cpu, cuda, cuda:1 or mps"
        ) from error
    if chosen.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (chosen.index or 0) >= count:
            found = f"has {count} CUDA device{'s' if count != 1 else ''}"
            raise DeviceUnavailable(f"device {chosen} is not here: this machine {found}; give auto")
    elif chosen.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceUnavailable("device mps is not here; give auto")
    elif chosen.type not in ("cpu", "cuda", "mps"):
        raise DeviceUnavailable(f"device {chosen} is not supported; give auto, cpu, cuda or mps")
    return chosen


def choose_precision(precision: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype asked for; "auto" is float16 on a GPU and float32 on the CPU.

    On a CPU bfloat16 is for the asking: it gains little on small batches and costs parity.
    Raises DeviceUnavailable for a name that is not known or that the device computes badly.
    """
    if isinstance(precision, torch.dtype):
        chosen = precision
        if chosen not in _PRECISIONS.values():
            raise DeviceUnavailable(f"precision {chosen} is not supported; give fp32, fp16 or bf16")
    elif precision == "auto":
        chosen = torch.float32 if device.type == "cpu" else torch.float16
    elif precision in _PRECISIONS:
        chosen = _PRECISIONS[precision]
    else:
        raise DeviceUnavailable(
            f"precision {precision!r} is not known; give auto, fp32, fp16 or bf16"
        )
    if chosen is torch.float16 and device.type == "cpu":
        raise DeviceUnavailable("precision fp16 is slow and inexact on a CPU; give fp32 or bf16")
    return chosen
