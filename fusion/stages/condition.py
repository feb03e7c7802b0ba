"""condition: the words and the wished face become what the denoiser is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.conditioning import Conditioning
from prompting import PromptPlan


def condition(
    plan: PromptPlan,
    embedding: NDArray[np.float32] | None,
    *,
    tokenizer: Any,
    text_encoder: Any,
    device: torch.device,
    dtype: torch.dtype,
    guided: bool,
    identity_scale: float,
) -> Conditioning:
    """Text states of both branches and the identity, on the device.

    embedding: float32 [512]; None where the model knows no identities. The negative branch is
    encoded only where guidance is on.
    """
    negative = None
    if guided:
        negative = text_states(plan.negative_prompt, tokenizer, text_encoder, device)
    identity = None
    if embedding is not None:
        identity = torch.from_numpy(embedding).to(device=device, dtype=dtype)[None, None]
    return Conditioning(
        states=text_states(plan.prompt, tokenizer, text_encoder, device),
        negative_states=negative,
        identity=identity,
        identity_scale=identity_scale,
    )


def text_states(text: str, tokenizer: Any, text_encoder: Any, device: torch.device) -> Tensor:
    """Hidden states [1, positions, width] of a prompt padded to the encoder's positions."""
    tokens = tokenizer(
        text,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    # Only text encoders that were trained with a padding mask are given one, as in diffusers.
    masked = getattr(text_encoder.config, "use_attention_mask", False)
    mask = tokens.attention_mask.to(device) if masked else None
    states: Tensor = text_encoder(tokens.input_ids.to(device), attention_mask=mask)[0]
    return states.to(dtype=text_encoder.dtype, device=device)
