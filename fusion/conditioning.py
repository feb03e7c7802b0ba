"""What a picture is drawn from: text states and the identity, for both branches of guidance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """Text states [1, tokens, width] and identity embeddings [1, 1, 512] for both branches.

    negative_states is None where guidance is off. identity is None where the model knows no
    identities; the negative branch's identity is zeros, as FaceID was trained.
    identity_scale: how strongly the identity's attention is added.
    """

    states: Tensor
    negative_states: Tensor | None
    identity: Tensor | None
    identity_scale: float
