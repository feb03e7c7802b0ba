"""Where and how exactly to compute: the device and the precision a request of "auto" gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from models.errors import DeviceUnavailable

PRECISIONS: Final = ("fp32", "bf16", "fp16", "int8")
_DTYPES: Final = {
    "fp32": torch.float32,
    "float32": torch.float32,
    "fp16": torch.float16,
    "float16": torch.float16,
    "bf16": torch.bfloat16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True)
class Precision:
    """How exactly a device computes. name: fp32, bf16, fp16 or int8. dtype: of weights, activations
    and latents. quantised: the denoiser's large linear layers are held and multiplied as int8.
    """

    name: str
    dtype: torch.dtype
    quantised: bool = False

    @property
    def key(self) -> str:
        """What tells models of this precision from others, in a key of content."""
        return f"{self.dtype}+int8" if self.quantised else str(self.dtype)


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


def resolve_precision(precision: str | torch.dtype | Precision, device: torch.device) -> Precision:
    """The precision asked for, as this device computes it.

    "auto" is float16 on a GPU and float32 on the CPU, and never quantised: what int8 costs is each
    bundle's to show (`limner bench precision`). On a CPU bfloat16 is for the asking: it gains
    little on small batches and costs parity. int8 computes in float16 on CUDA, in float32 on the
    CPU. Whether torchao is installed is `quantise_denoiser`'s to say.
    Raises DeviceUnavailable for a name that is not known or that the device computes badly.
    """
    if isinstance(precision, Precision):
        chosen = precision
    elif isinstance(precision, torch.dtype):
        known = {each: name for name, each in _DTYPES.items() if len(name) == 4}
        if precision not in known:
            raise DeviceUnavailable(
                f"precision {precision} is not supported; give {', '.join(PRECISIONS)}"
            )
        chosen = Precision(known[precision], precision)
    elif precision == "auto":
        chosen = resolve_precision("fp32" if device.type == "cpu" else "fp16", device)
    elif precision == "int8":
        computed = torch.float32 if device.type == "cpu" else torch.float16
        chosen = Precision("int8", computed, quantised=True)
    elif precision in _DTYPES:
        chosen = resolve_precision(_DTYPES[precision], device)
    else:
        raise DeviceUnavailable(
            f"precision {precision!r} is not known; give auto, {', '.join(PRECISIONS)}"
        )
    if chosen.dtype is torch.float16 and device.type == "cpu":
        raise DeviceUnavailable("precision fp16 is slow and inexact on a CPU; give fp32 or bf16")
    if chosen.quantised and device.type not in ("cpu", "cuda"):
        raise DeviceUnavailable(f"precision int8 is not computed on {device.type}; give fp16")
    return chosen


def choose_precision(precision: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype of a precision that is one: all but int8. Raises what `resolve_precision` raises,
    and DeviceUnavailable for int8, whose weights are `quantise_denoiser`'s to make.
    """
    chosen = resolve_precision(precision, device)
    if chosen.quantised:
        raise DeviceUnavailable(
            f"precision {chosen.name} is more than a dtype and cannot be loaded here; "
            "give auto, fp32, fp16 or bf16"
        )
    return chosen.dtype
