"""The plain tensors behind a tensor: a quantised weight is a subclass that holds several."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def inner_tensors(tensor: Tensor) -> list[Tensor]:
    """The plain tensors that hold a tensor's values: itself, or those of a subclass such as
    torchao's, which has neither an address nor bytes of its own.
    """
    if not is_wrapped(tensor):
        return [tensor]
    wrapper: Any = tensor
    names, _ = wrapper.__tensor_flatten__()
    held = [getattr(wrapper, name) for name in names]
    return [inner for each in held if isinstance(each, Tensor) for inner in inner_tensors(each)]


def is_wrapped(tensor: Tensor) -> bool:
    """Whether a tensor is a subclass whose values lie in others (torch's wrapper subclasses)."""
    return hasattr(tensor, "__tensor_flatten__")


def size_bytes(tensor: Tensor) -> int:
    """Bytes a tensor takes as it is held: of int8 with its scales, not of what it stands for."""
    return sum(inner.numel() * inner.element_size() for inner in inner_tensors(tensor))
