"""What the denoiser is told in words: the states of all text encoders, through one pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cache import Namespace, PrefixPool
from models import PrefixCachedTextEncoder, TextTower, load_pool, save_pool


@dataclass(frozen=True)
class Encoded:
    """Text states [1, positions, width], and how many positions were computed and reused, of all
    encoders together. pooled: [1, projection], of the last encoder.
    """

    states: Tensor
    pooled: Tensor
    computed: int
    reused: int

    def zeroed(self) -> Encoded:
        """Zeros of the same shapes, which cost nothing."""
        return Encoded(torch.zeros_like(self.states), torch.zeros_like(self.pooled), 0, 0)


class TextEncoders:
    """A model's text encoders, one or two, in front of a pool they share."""

    def __init__(self, towers: Sequence[TextTower], pool: PrefixPool) -> None:
        self.towers = tuple(towers)
        self._encoders = tuple(PrefixCachedTextEncoder(tower.encoder, pool) for tower in towers)

    @property
    def device(self) -> torch.device:
        """Where they compute."""
        return self._encoders[0].device

    def encode(self, text: str, namespace: Namespace = ()) -> Encoded:
        """The states of a prompt padded to the encoders' positions, side by side."""
        each = [
            _encoded(tower, encoder, padded(text, tower.tokenizer), namespace)
            for tower, encoder in zip(self.towers, self._encoders, strict=True)
        ]
        return Encoded(
            torch.cat([one.states for one in each], dim=-1) if len(each) > 1 else each[0].states,
            each[-1].pooled,
            sum(one.computed for one in each),
            sum(one.reused for one in each),
        )

    def warm(self, texts: Iterable[str], namespace: Namespace = ()) -> None:
        """Encode prompts that are expected, so that the pool holds them."""
        for text in texts:
            self.encode(text, namespace)

    def load(self, directory: Path) -> None:
        """Take up what `save` has written. Raises PoolFileRejected."""
        for place, encoder in self._places(directory):
            load_pool(encoder, place)

    def save(self, directory: Path) -> int:
        """Write what the pool holds of them; how many entries. Raises OSError."""
        return sum(save_pool(encoder, place) for place, encoder in self._places(directory))

    def _places(self, directory: Path) -> list[tuple[Path, PrefixCachedTextEncoder]]:
        """Where each encoder's states lie: the first one's in the folder, others' in one inside."""
        return [
            (directory / f"encoder_{number}" if number > 1 else directory, encoder)
            for number, encoder in enumerate(self._encoders, 1)
        ]


def padded(text: str, tokenizer: Any) -> Any:
    """input_ids and attention_mask [1, positions], as diffusers' pipelines pad a prompt."""
    return tokenizer(
        text,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )


def _encoded(
    tower: TextTower, encoder: PrefixCachedTextEncoder, tokens: Any, namespace: Namespace
) -> Encoded:
    # Only text encoders that were trained with a padding mask are given one, as in diffusers; what
    # a mask hides depends on the prompt's end, so beginnings are not shared.
    if tower.masked:
        ids, mask = tokens.input_ids.to(encoder.device), tokens.attention_mask.to(encoder.device)
        given = tower.encoder(ids, attention_mask=mask)
        return Encoded(given[0], given[1], ids.numel(), 0)
    states = encoder.encode(
        tokens.input_ids,
        clip_skip=tower.output.clip_skip,
        final_norm=tower.output.final_norm,
        namespace=namespace,
    )
    return Encoded(states.hidden, states.pooled, states.positions_computed, states.positions_reused)
