"""What a text encoder leaves behind of a prompt: its finished states, or the K/V of a beginning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PromptStates:
    """A whole prompt's result. hidden: [length, width]; pooled: [width] or [projection]."""

    hidden: Tensor
    pooled: Tensor

    @property
    def size_bytes(self) -> int:
        return _bytes(self.hidden) + _bytes(self.pooled)


@dataclass(frozen=True, eq=False)
class PrefixStates:
    """A run of positions of a prompt.

    keys, values: [layers, heads, positions, head width], what later positions attend to. hidden:
    [positions, width], the result at these positions. All are contiguous and own their memory, so
    that size_bytes is what they keep allocated.
    """

    keys: Tensor
    values: Tensor
    hidden: Tensor

    @property
    def positions(self) -> int:
        return int(self.hidden.shape[0])

    @property
    def size_bytes(self) -> int:
        return _bytes(self.keys) + _bytes(self.values) + _bytes(self.hidden)

    def split(self, at: int) -> tuple[PrefixStates, PrefixStates]:
        """The first `at` positions and the others, in memory of their own."""
        return self.part(0, at).owned(), self.part(at, self.positions).owned()

    def part(self, start: int, stop: int) -> PrefixStates:
        """Positions start … stop - 1, as views."""
        return PrefixStates(
            self.keys[:, :, start:stop], self.values[:, :, start:stop], self.hidden[start:stop]
        )

    def owned(self) -> PrefixStates:
        """The same in memory of its own: a view would keep all of its base allocated."""
        return PrefixStates(*(_copied(t) for t in (self.keys, self.values, self.hidden)))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)
