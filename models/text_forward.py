"""CLIP's text transformer from any position on: the layers' own modules, with K/V handed in.

transformers' CLIPTextModel takes no past keys and values, so its embeddings, layers and last norm
are walked here. The attention is causal: what precedes a position is all it depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.prefix_states import PrefixStates


@dataclass(frozen=True)
class Output:
    """What is taken from the layers: clip_skip counts them from the end (0: the last); final_norm:
    whether the last norm follows. Stable Diffusion: (0, True), or (n, True) with clip-skip n; both
    encoders of SDXL: (1, False).
    """

    clip_skip: int = 0
    final_norm: bool = True


@dataclass(frozen=True, eq=False)
class Computed:
    """States of the positions computed. hidden, last: [batch, positions, width], as asked for and
    of the last layer after its norm. keys, values: per layer [batch, heads, captured, head width].
    """

    hidden: Tensor
    last: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def prefix(self, row: int, positions: int) -> PrefixStates:
        """The first positions of one row, in memory of their own."""
        return PrefixStates(
            torch.stack([keys[row, :, :positions] for keys in self.keys]),
            torch.stack([values[row, :, :positions] for values in self.values]),
            self.hidden[row, :positions].clone(),
        )


def compute_states(
    text: Any, input_ids: Tensor, past: Sequence[PrefixStates], capture: int, output: Output
) -> Computed:
    """States of the positions that follow a past.

    text: CLIPTextModel. input_ids: int64 [batch, positions] that follow. past: one for each row,
    all of one length, or none at all. capture: of how many first positions K/V are given back.
    """
    start = past[0].positions if past else 0
    layers = text.encoder.layers
    positions = text.embeddings.position_ids[:, start : start + input_ids.shape[1]]
    hidden = text.embeddings(input_ids=input_ids, position_ids=positions)
    mask = _mask(start, input_ids.shape[1], hidden.device) if start else None
    keys: list[Tensor] = []
    values: list[Tensor] = []
    taken = hidden
    for index, layer in enumerate(layers):
        before = [(each.keys[index], each.values[index]) for each in past]
        normed = layer.layer_norm1(hidden)
        attended, key, value = _attend(layer.self_attn, normed, before, mask)
        hidden = hidden + attended
        hidden = hidden + layer.mlp(layer.layer_norm2(hidden))
        if capture:
            keys.append(key[:, :, :capture])
            values.append(value[:, :, :capture])
        if index == len(layers) - 1 - output.clip_skip:
            taken = hidden
    last = text.final_layer_norm(hidden)
    if output.final_norm:
        taken = text.final_layer_norm(taken) if output.clip_skip else last
    return Computed(taken, last, tuple(keys), tuple(values))


def _attend(
    attention: Any, hidden: Tensor, before: Sequence[tuple[Tensor, Tensor]], mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Causal self-attention; its result, and the new keys and values [batch, heads, …]."""
    shape = (*hidden.shape[:-1], -1, attention.head_dim)
    query = attention.q_proj(hidden).view(shape).transpose(1, 2)
    key = attention.k_proj(hidden).view(shape).transpose(1, 2)
    value = attention.v_proj(hidden).view(shape).transpose(1, 2)
    all_keys, all_values = key, value
    if before:
        all_keys = torch.cat([torch.stack([keys for keys, _ in before]), key], dim=2)
        all_values = torch.cat([torch.stack([values for _, values in before]), value], dim=2)
    mixed = F.scaled_dot_product_attention(
        query, all_keys, all_values, mask, is_causal=mask is None, scale=attention.scale
    )
    result: Tensor = attention.out_proj(mixed.transpose(1, 2).reshape(hidden.shape).contiguous())
    return result, key, value


def _mask(start: int, count: int, device: torch.device) -> Tensor:
    """Position start + i sees the positions up to its own: bool [count, start + count]."""
    seen = torch.ones(count, start + count, dtype=torch.bool, device=device)
    return seen.tril(diagonal=start)
