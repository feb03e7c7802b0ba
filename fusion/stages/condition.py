"""condition: the words and the wished face become what the denoiser is given."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache import (
    ConditioningStore,
    Digest,
    Leased,
    Namespace,
    digest,
    digest_array,
    digest_bytes,
)
from fusion.conditioning import Conditioning
from fusion.texts import Encoded, TextEncoders
from models import KeyValueDenoiser, KeyValues, RowConditions
from prompting import PromptPlan

KeyValueStore = ConditioningStore[KeyValues]


@dataclass(frozen=True)
class Conditioned:
    """What the picture is drawn from, and what it cost: each text, the prompt first, and how many
    rows of text and identity became keys and values, and how many were remembered.
    """

    conditioning: Conditioning
    encoded: tuple[Encoded, ...]
    projections_computed: int
    projections_reused: int


def condition(
    plan: PromptPlan,
    embedding: NDArray[np.float32] | None,
    *,
    encoders: TextEncoders,
    denoiser: KeyValueDenoiser,
    store: KeyValueStore,
    leases: ExitStack,
    dtype: torch.dtype,
    guided: bool,
    identity_scale: float,
    zeroes: bool = False,
    namespace: Namespace = (),
) -> Conditioned:
    """Keys and values of both branches' text and identity, on the denoiser's device.

    embedding: float32 [512]; None where the model knows no identities. The negative branch is made
    only where guidance is on; zeroes: its text states are zeros, and not those of its words.
    leases: keeps what is used in the store until it is closed. namespace: with whom what is
    remembered is shared.
    """
    encoded = [encoders.encode(plan.prompt, namespace)]
    if guided:
        negative = plan.negative_prompt
        encoded.append(encoded[0].zeroed() if zeroes else encoders.encode(negative, namespace))
    projector = _Projector(denoiser, denoiser.scope(), store, namespace)
    projected = [leases.enter_context(projector.text(one.states)) for one in encoded]
    used = list(projected)
    identities: list[KeyValues | None] = [None, None]
    if embedding is not None:
        # Both branches at once: one row alone takes other kernels than diffusers' pipeline does.
        both = np.stack([np.zeros_like(embedding), embedding] if guided else [embedding])[:, None]
        given = torch.from_numpy(both).to(device=denoiser.unet.device, dtype=dtype)
        pair = leases.enter_context(projector.identity(embedding, given))
        used.append(pair)
        identities = [pair.value.select([row]) for row in reversed(range(len(both)))]
    rows = [
        RowConditions.of(
            text.value,
            identity,
            identity_scale,
            text_embeds=words.pooled if denoiser.takes_sizes else None,
        )
        for text, identity, words in zip(projected, identities, encoded, strict=False)
    ]
    return Conditioned(
        Conditioning(positive=rows[0], negative=rows[1] if guided else None),
        tuple(encoded),
        projections_computed=sum(one.value.rows for one in used if not one.reused),
        projections_reused=sum(one.value.rows for one in used if one.reused),
    )


@dataclass(frozen=True, eq=False)
class _Projector:
    """Makes keys and values, or remembers them. scope: what they depend on beside their content."""

    denoiser: KeyValueDenoiser
    scope: Digest
    store: KeyValueStore
    namespace: Namespace

    def text(self, states: Tensor) -> AbstractContextManager[Leased[KeyValues]]:
        key = self.denoiser.text_key(_content(states), self.scope)
        return self.store.lease(key, lambda: self.denoiser.project_text(states), self.namespace)

    def identity(
        self, embedding: NDArray[np.float32], given: Tensor
    ) -> AbstractContextManager[Leased[KeyValues]]:
        content = digest([given.shape[0], digest_array(embedding)])
        key = self.denoiser.identity_key(content, self.scope)
        return self.store.lease(key, lambda: self.denoiser.project_identity(given), self.namespace)


def _content(states: Tensor) -> Digest:
    raw = states.detach().contiguous().cpu().reshape(-1).view(torch.uint8)
    return digest([str(states.dtype), list(states.shape), digest_bytes(raw.numpy().data)])
