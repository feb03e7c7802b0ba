"""condition: the words and the wished face become what the denoiser is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.conditioning import Conditioning
from models import PrefixCachedTextEncoder
from prompting import PromptPlan


@dataclass(frozen=True)
class Encoded:
    """Text states [1, positions, width], and how many positions were computed and reused."""

    states: Tensor
    computed: int
    reused: int


def condition(
    plan: PromptPlan,
    embedding: NDArray[np.float32] | None,
    *,
    tokenizer: Any,
    encoder: PrefixCachedTextEncoder,
    dtype: torch.dtype,
    guided: bool,
    identity_scale: float,
) -> tuple[Conditioning, tuple[Encoded, ...]]:
    """Text states of both branches and the identity, on the encoder's device; and what each text
    cost, the prompt first.

    embedding: float32 [512]; None where the model knows no identities. The negative branch is
    encoded only where guidance is on.
    """
    encoded = [encode_text(plan.prompt, tokenizer, encoder)]
    if guided:
        encoded.append(encode_text(plan.negative_prompt, tokenizer, encoder))
    identity = None
    if embedding is not None:
        identity = torch.from_numpy(embedding).to(device=encoder.device, dtype=dtype)[None, None]
    conditioning = Conditioning(
        states=encoded[0].states,
        negative_states=encoded[1].states if guided else None,
        identity=identity,
        identity_scale=identity_scale,
    )
    return conditioning, tuple(encoded)


def encode_text(text: str, tokenizer: Any, encoder: PrefixCachedTextEncoder) -> Encoded:
    """The states of a prompt padded to the encoder's positions."""
    tokens = tokenizer(
        text,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    model = encoder.text_model
    # Only text encoders that were trained with a padding mask are given one, as in diffusers; what
    # a mask hides depends on the prompt's end, so beginnings are not shared.
    if getattr(model.config, "use_attention_mask", False):
        ids, mask = tokens.input_ids.to(encoder.device), tokens.attention_mask.to(encoder.device)
        return Encoded(model(ids, attention_mask=mask)[0], ids.numel(), 0)
    states = encoder.encode(tokens.input_ids)
    return Encoded(states.hidden, states.positions_computed, states.positions_reused)
