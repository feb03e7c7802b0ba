"""Self-attention computed a part at a time, for devices whose kernels hold all scores at once.

diffusers' `set_attention_slice` would replace the processors of cross-attention too, and with them
an IP-Adapter; and its slices hold their scores in full where torch's fused kernels hold none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0
from torch import Tensor, nn


class SlicedSelfAttention:
    """diffusers' plain self-attention, one row and so many queries at a time.

    Equal to rounding (1e-6 in float32): each query sees all keys, as in FlashAttention (Dao et al.,
    2022) and, without its blocks of keys, in Rabe and Staats (2021). At most heads × queries ×
    positions scores are held.
    """

    def __init__(self, queries: int) -> None:
        self.queries = queries

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *_: object,
        **__: object,
    ) -> Tensor:
        return torch.cat([self._row(attn, row) for row in torch.split(hidden_states, 1)])

    def _row(self, attn: Any, states: Tensor) -> Tensor:
        """Of one row [1, positions, width]."""
        query, key, value = (
            projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for projected in (attn.to_q(states), attn.to_k(states), attn.to_v(states))
        )
        mixed = torch.cat(
            [
                F.scaled_dot_product_attention(part, key, value)
                for part in torch.split(query, self.queries, dim=2)
            ],
            dim=2,
        )
        mixed = attn.to_out[1](attn.to_out[0](mixed.transpose(1, 2).flatten(2)))
        return cast("Tensor", mixed / attn.rescale_output_factor)


def sliceable(unet: nn.Module) -> Iterator[Any]:
    """The UNet's self-attention layers that `SlicedSelfAttention` can stand in for."""
    for module in unet.modules():
        layer: Any = module
        if (
            isinstance(module, Attention)
            and not layer.is_cross_attention
            and type(layer.processor) in (AttnProcessor, AttnProcessor2_0)
            and not layer.residual_connection
            and all(
                getattr(layer, name, None) is None
                for name in ("group_norm", "spatial_norm", "norm_q", "norm_k")
            )
        ):
            yield layer
