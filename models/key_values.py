"""Keys and values of every cross-attention layer: made once per conditioning, given to every step.

All layers' are one tensor, so that rows of different requests are joined by one copy, and an engine
has one input for text and one for identities. A layer's own are a slice of it, bit for bit what the
layer would have computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from models.errors import ConditionsRejected


@dataclass(frozen=True, eq=False)
class KeyValues:
    """K and V of all layers for some rows of text, or of identities.

    packed: [rows, tokens, width]: first layer's K, its V, second layer's K … side by side.
    """

    packed: Tensor

    @property
    def rows(self) -> int:
        return int(self.packed.shape[0])

    @property
    def tokens(self) -> int:
        return int(self.packed.shape[1])

    @property
    def size_bytes(self) -> int:
        return self.packed.numel() * self.packed.element_size()

    def select(self, rows: Sequence[int]) -> KeyValues:
        """Some rows, in the order given and in memory of their own."""
        return KeyValues(self.packed[list(rows)])

    @staticmethod
    def join(parts: Sequence[KeyValues]) -> KeyValues:
        """The rows of all parts, in their order. Raises ConditionsRejected.

        Parts of different token counts do not join: padding would need a mask in every layer, and
        prompts are padded by their tokenizer to one length.
        """
        if not parts:
            raise ConditionsRejected("no keys and values to join: give at least one row")
        kinds = {(part.packed.shape[1:], part.packed.dtype, part.packed.device) for part in parts}
        if len(kinds) > 1:
            found = ", ".join(
                sorted(f"{list(shape)} {dtype} {where}" for shape, dtype, where in kinds)
            )
            raise ConditionsRejected(
                f"keys and values of [tokens, width] {found} do not share a batch: pad prompts to "
                "one length, give as many identities, or draw them in batches of their own"
            )
        if len(parts) == 1:
            return parts[0]
        return KeyValues(torch.cat([part.packed for part in parts]))


@dataclass(frozen=True)
class KeyValueLayout:
    """Where each layer's K and V lie in what is packed. widths: of K (and of V), layer by layer."""

    widths: tuple[int, ...]

    @property
    def width(self) -> int:
        """Of all layers' K and V together."""
        return 2 * sum(self.widths)

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each layer's K begins; its V follows."""
        return tuple(accumulate((2 * width for width in self.widths[:-1]), initial=0))

    def pack(self, layers: Sequence[tuple[Tensor, Tensor]]) -> KeyValues:
        """One tensor of each layer's K and V [rows, tokens, the layer's width]."""
        return KeyValues(torch.cat([part for layer in layers for part in layer], dim=-1))

    def layer(self, packed: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """One layer's K and V, views of what is packed."""
        return unpacked(packed, self.starts[index], self.widths[index])


def unpacked(packed: Tensor, start: int, width: int) -> tuple[Tensor, Tensor]:
    """The K and V of the layer whose K begins at `start`, each `width` wide."""
    return packed[..., start : start + width], packed[..., start + width : start + 2 * width]


@dataclass(frozen=True, eq=False)
class RowConditions:
    """All that rows are drawn from beside latents and timestep; each row has its own.

    identity: None where no row has one. identity_scales: float32 [rows], how strongly each row's
    identity attention is added. text_embeds [rows, width], time_ids [rows, 6]: SDXL's pooled text
    and sizes. Raises ConditionsRejected where the parts have different rows.
    """

    text: KeyValues
    identity: KeyValues | None = None
    identity_scales: Tensor | None = None
    text_embeds: Tensor | None = None
    time_ids: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.identity is None) != (self.identity_scales is None):
            raise ConditionsRejected("an identity and its scales are given together, or neither")
        parts = {
            "identity": None if self.identity is None else self.identity.packed,
            "identity_scales": self.identity_scales,
            "text_embeds": self.text_embeds,
            "time_ids": self.time_ids,
        }
        for name, part in parts.items():
            if part is not None and part.shape[:1] != self.text.packed.shape[:1]:
                raise ConditionsRejected(
                    f"{name} is {list(part.shape)}, the text has {self.text.rows} rows: give every "
                    "row its own"
                )

    @classmethod
    def of(
        cls,
        text: KeyValues,
        identity: KeyValues | None = None,
        identity_scale: float = 1.0,
        *,
        text_embeds: Tensor | None = None,
        time_ids: Tensor | None = None,
    ) -> RowConditions:
        """Rows that share an identity scale."""
        scales = None
        if identity is not None:
            device = identity.packed.device
            scales = torch.full((identity.rows,), identity_scale, device=device)
        return cls(text, identity, scales, text_embeds, time_ids)

    @property
    def rows(self) -> int:
        return self.text.rows

    def select(self, rows: Sequence[int]) -> RowConditions:
        """Some rows, in the order given."""
        chosen = list(rows)
        return RowConditions(
            text=self.text.select(chosen),
            identity=None if self.identity is None else self.identity.select(chosen),
            identity_scales=_chosen(self.identity_scales, chosen),
            text_embeds=_chosen(self.text_embeds, chosen),
            time_ids=_chosen(self.time_ids, chosen),
        )

    @staticmethod
    def join(parts: Sequence[RowConditions]) -> RowConditions:
        """The rows of all parts, in their order. Raises ConditionsRejected.

        Beside rows with an identity, rows without one get zeros for K and V, which add nothing.
        """
        if len(parts) == 1:
            return parts[0]
        text = KeyValues.join([part.text for part in parts])
        given = [part.identity for part in parts if part.identity is not None]
        identity = scales = None
        if given:
            identity = KeyValues.join([_identity(part, given[0]) for part in parts])
            scales = torch.cat([_scales(part, given[0]) for part in parts])
        return RowConditions(
            text=text,
            identity=identity,
            identity_scales=scales,
            text_embeds=_joined("text_embeds", [part.text_embeds for part in parts]),
            time_ids=_joined("time_ids", [part.time_ids for part in parts]),
        )


def _identity(part: RowConditions, mate: KeyValues) -> KeyValues:
    if part.identity is not None:
        return part.identity
    return KeyValues(mate.packed.new_zeros(part.rows, *mate.packed.shape[1:]))


def _scales(part: RowConditions, mate: KeyValues) -> Tensor:
    if part.identity_scales is not None:
        return part.identity_scales
    return torch.zeros(part.rows, device=mate.packed.device)


def _chosen(part: Tensor | None, rows: list[int]) -> Tensor | None:
    return None if part is None else part[rows]


def _joined(name: str, parts: Sequence[Tensor | None]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    if not given:
        return None
    if len(given) != len(parts):
        raise ConditionsRejected(f"some rows have {name}, others not: they are of one denoiser")
    return torch.cat(given)
