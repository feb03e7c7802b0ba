"""A second view of a diffusers UNet whose cross-attention is given its K and V.

The UNet is not touched: the modules on the way to a cross-attention layer are copied without their
weights, all others are shared. So there is nothing to take off again, a pipeline may draw with the
UNet at the same time, and the view has no weights for K and V at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch.nn.functional as F
from diffusers.models.attention_processor import (
    Attention,
    AttnProcessor,
    AttnProcessor2_0,
    IPAdapterAttnProcessor,
    IPAdapterAttnProcessor2_0,
    IPAdapterXFormersAttnProcessor,
    SlicedAttnProcessor,
    XFormersAttnProcessor,
)
from torch import Tensor, nn

from models.errors import PipelineUnsupported
from models.key_values import KeyValueLayout, unpacked
from models.packed_convolution import PackedConvolution, packs

_IDENTITY = (IPAdapterAttnProcessor, IPAdapterAttnProcessor2_0, IPAdapterXFormersAttnProcessor)
# All of these compute plain attention, each in its own way.
_KNOWN = (AttnProcessor, AttnProcessor2_0, SlicedAttnProcessor, XFormersAttnProcessor, *_IDENTITY)
# An instance's own ways of being called, bound to the module that is copied.
_BOUND = ("forward", "_old_forward", "_hf_hook", "_compiled_call_impl")


class Given(NamedTuple):
    """What the cross-attention layers are given in the place of text states.

    text, identity: packed K and V [rows, tokens, width]. identity_scales: float32 [rows].
    """

    text: Tensor
    identity: Tensor | None
    identity_scales: Tensor | None


class GivenAttention(nn.Module):
    """Cross-attention as diffusers' (IPAdapter)AttnProcessor2_0 computes it, with K and V given.

    Shares the projections of query and output with the layer it stands for, and has no others.
    """

    def __init__(self, layer: Any, start: int) -> None:
        super().__init__()
        self.to_q, self.to_out = layer.to_q, layer.to_out
        self.heads, self.rescale_output_factor = layer.heads, layer.rescale_output_factor
        self.start, self.width = start, int(layer.inner_dim)

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Given,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        given = encoder_hidden_states
        query = _by_heads(self.to_q(hidden_states), self.heads)
        mixed = self._attend(query, given.text)
        if given.identity is not None and given.identity_scales is not None:
            # float32 scales, as a number would be: half precision would round them first.
            added = given.identity_scales[:, None, None] * self._attend(query, given.identity)
            mixed = mixed + added.to(mixed.dtype)
        mixed = self.to_out[1](self.to_out[0](mixed))
        if self.rescale_output_factor != 1:
            mixed = mixed / self.rescale_output_factor
        return cast("Tensor", mixed)

    def _attend(self, query: Tensor, packed: Tensor) -> Tensor:
        key, value = unpacked(packed, self.start, self.width)
        mixed = F.scaled_dot_product_attention(
            query, _by_heads(key, self.heads), _by_heads(value, self.heads), dropout_p=0.0
        )
        return mixed.transpose(1, 2).reshape(mixed.shape[0], -1, self.width).to(query.dtype)


def _by_heads(states: Tensor, heads: int) -> Tensor:
    """[rows, tokens, width] → [rows, heads, tokens, width of a head]."""
    rows, _, width = states.shape
    return states.view(rows, -1, heads, width // heads).transpose(1, 2)


@dataclass(frozen=True, eq=False)
class DenoiserView:
    """A UNet seen with K and V given.

    unet: called with `Given` for encoder_hidden_states. layers: the UNet's own cross-attention, in
    the order of their K and V; identities: their adapters' processors, or none.
    """

    unet: nn.Module
    layers: tuple[Any, ...]
    identities: tuple[Any, ...]
    layout: KeyValueLayout
    _seen: tuple[tuple[nn.Module, dict[str, object]], ...] = field(repr=False)
    _packed: tuple[PackedConvolution, ...] = field(repr=False)

    @classmethod
    def of(cls, unet: nn.Module, packed: bool = False) -> DenoiserView:
        """packed: with convolutions that hold their weights once more, as oneDNN wants them.

        Raises PipelineUnsupported for attention of another kind.
        """
        root = _Copier(packed)
        view = root.copied(unet, encoder_hid_proj=None)
        layers = tuple(root.layers)
        return cls(
            view,
            layers,
            _identities(layers),
            KeyValueLayout(tuple(root.widths)),
            tuple(root.seen),
            tuple(root.convolutions),
        )

    @property
    def stale(self) -> bool:
        """Whether something was replaced on the UNet since: adapters, parts, settings, hooks.

        Weights are shared and need no look, but those of which a copy was packed.
        """
        return any(_state(module) != before for module, before in self._seen) or any(
            convolution.stale for convolution in self._packed
        )


class _Copier:
    """Copies what lies on the way to cross-attention (or to a convolution that is packed), and
    notes what it met.
    """

    def __init__(self, packed: bool) -> None:
        self.packed = packed
        self.layers: list[Any] = []
        self.widths: list[int] = []
        self.seen: list[tuple[nn.Module, dict[str, object]]] = []
        self.convolutions: list[PackedConvolution] = []

    def copied(self, module: nn.Module, **replaced: nn.Module | None) -> nn.Module:
        """The module itself if nothing in it is replaced; otherwise a copy without its own."""
        if isinstance(module, Attention) and module.is_cross_attention:
            return self._attention(module)
        if self.packed and packs(module):
            self.convolutions.append(PackedConvolution(cast("nn.Conv2d", module)))
            return self.convolutions[-1]
        before = len(self.layers)
        children = {
            name: replaced[name]
            if name in replaced
            else None
            if child is None
            else self.copied(child)
            for name, child in module._modules.items()
        }
        if all(children[name] is child for name, child in module._modules.items()):
            return module
        if len(self.layers) > before:
            # Only here do adapters come and go; packed convolutions look after themselves.
            self.seen.append((module, _state(module)))
        return self._copy(module, children)

    def _attention(self, layer: Any) -> nn.Module:
        _check_layer(layer)
        width = int(layer.inner_dim)
        start = 2 * sum(self.widths)
        self.layers.append(layer)
        self.widths.append(width)
        self.seen.append((layer, _state(layer)))
        return GivenAttention(layer, start)

    def _copy(self, module: nn.Module, children: dict[str, nn.Module | None]) -> nn.Module:
        copy = object.__new__(type(module))
        copy.__dict__.update({k: v for k, v in module.__dict__.items() if k not in _BOUND})
        copy.__dict__["_modules"] = children
        return copy


def _state(module: nn.Module) -> dict[str, object]:
    return {**module.__dict__, "_modules": dict(module._modules)}


def _identities(layers: tuple[Any, ...]) -> tuple[Any, ...]:
    """The layers' adapters. Raises PipelineUnsupported unless all have the one, or none."""
    found = tuple(layer.processor for layer in layers if isinstance(layer.processor, _IDENTITY))
    if not found:
        return ()
    if len(found) != len(layers) or any(len(each.to_k_ip) != 1 for each in found):
        raise PipelineUnsupported(
            "this UNet's cross-attention has several adapters, or has one in some layers only: "
            "load one IP-Adapter, or none"
        )
    return found


def _check_layer(layer: Any) -> None:
    """Raises PipelineUnsupported for attention that more than K and V go into."""
    kind = type(layer.processor)
    if kind not in _KNOWN:
        raise PipelineUnsupported(
            f"this UNet's cross-attention is computed by {kind.__name__}, expected diffusers' "
            "plain attention or one IP-Adapter: unload what replaced it"
        )
    odd = [
        name
        for name in ("group_norm", "spatial_norm", "norm_cross", "norm_q", "norm_k")
        if getattr(layer, name, None) is not None
    ]
    if layer.residual_connection:
        odd.append("residual_connection")
    if layer.inner_kv_dim != layer.inner_dim:
        odd.append("kv_heads")
    if odd:
        raise PipelineUnsupported(
            f"this UNet's cross-attention has {', '.join(odd)}, which is not drawn with here: use "
            "a denoiser of Stable Diffusion 1.5 or SDXL"
        )
