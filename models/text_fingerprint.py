"""What a model's states, or K and V, depend on, as a key made of content: weights, adapters.

Reading every weight takes as long as hashing it does, so a stamp tells first whether anything has
changed at all. A stamp holds addresses and counters and is never a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cache import Digest, digest, digest_bytes
from models.errors import PipelineUnsupported
from models.held_tensors import inner_tensors, is_wrapped

Stamp = tuple[object, ...]
_SAMPLED = 4  # values of each matrix that a stamp holds


class WeightsWatch:
    """The digest of a module's weights and adapters, read anew whenever something changed.

    Noticed are: other tensors in the place of the old ones, changes in place, another dtype or
    device, and whatever peft does: adapters loaded, deleted, switched, scaled, merged. torch does
    not count a change in place through `.data`, which is how peft merges, so some values of each
    matrix are looked at; call `forget` after a change through `.data` of a few values only.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._known: tuple[Stamp, Digest] | None = None  # one assignment: threads read it

    def digest(self) -> Digest:
        """Of every weight's name, dtype, shape and values, and of how adapters are applied.

        Raises PipelineUnsupported for weights that are not in memory.
        """
        stamp = tuple(_stamp(self._module))
        known = self._known
        if known is None or known[0] != stamp:
            known = (stamp, _content(self._module))
            self._known = known
        return known[1]

    def forget(self) -> None:
        """Read the weights again at the next use."""
        self._known = None


def _content(module: nn.Module) -> Digest:
    return digest(
        {
            "weights": {name: tensor_digest(tensor) for name, tensor in _tensors(module)},
            "adapters": [list(entry) for entry in _adapters(module)],
            "training": module.training,
        }
    )


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _stamp(module: nn.Module) -> Iterator[object]:
    """Whatever changes when something about the module does. Taken at every call, so quick: it
    reads the modules' own dictionaries.
    """
    samples: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for layer in module.modules():
        for held in (layer._parameters, layer._buffers):
            for whole in held.values():
                for tensor in () if whole is None else inner_tensors(whole):
                    yield tensor.data_ptr()
                    yield 0 if tensor.is_inference() else tensor._version
                    yield tensor.dtype
                    yield tensor.device
                    if tensor.dim() > 1 and not tensor.is_meta:
                        samples.setdefault((tensor.dtype, tensor.device), []).append(
                            _sample(tensor)
                        )
        if _ADAPTED in layer.__dict__:
            yield _adapters_of(layer)
    for group in samples.values():
        yield torch.cat(group).tolist()
    yield module.training


def _sample(tensor: Tensor) -> Tensor:
    values = tensor.detach().reshape(-1)
    return values[:: max(1, values.numel() // _SAMPLED)]


_ADAPTED = "merged_adapters"  # what every layer of peft's has


def _adapters(module: nn.Module) -> Iterator[tuple[str, ...]]:
    for name, layer in module.named_modules():
        if _ADAPTED in layer.__dict__:
            yield (name, *_adapters_of(layer))


def _adapters_of(layer: Any) -> tuple[str, ...]:
    """How one of peft's layers applies its adapters: how strongly, which are active, which are
    merged into the weights, whether they are switched off.
    """
    scaling = getattr(layer, "scaling", None)
    return (
        repr(sorted(scaling.items()) if isinstance(scaling, dict) else scaling),
        repr(getattr(layer, "active_adapters", ())),
        repr(getattr(layer, "merged_adapters", ())),
        repr(getattr(layer, "disable_adapters", False)),
    )


def tensor_digest(tensor: Tensor) -> Digest:
    """Of a tensor's dtype, shape and values. Raises PipelineUnsupported where it has none."""
    if is_wrapped(tensor):  # quantised: its values lie in several tensors
        inner = [tensor_digest(each) for each in inner_tensors(tensor)]
        return digest([str(tensor.dtype), list(tensor.shape), inner])
    if tensor.is_meta:
        raise PipelineUnsupported(
            "the model's weights are not in memory (sequential offload): use "
            "enable_model_cpu_offload, or none"
        )
    raw = tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8)
    return digest([str(tensor.dtype), list(tensor.shape), digest_bytes(raw.numpy().data)])
