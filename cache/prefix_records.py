"""What a prefix pool is asked for and what it holds, as values."""

from __future__ import annotations

from dataclasses import dataclass

from cache.keys import Digest
from cache.radix import Slab, Tokens, Whole

Namespace = tuple[str, ...]
"""Whose prompts these are: () for everyone's, or (tenant,), or (tenant, template)."""


@dataclass(frozen=True)
class Scope:
    """What prompts may share: the namespace, and the model with everything that changes its states
    (weights, adapters and their scales, dtype, device kind, clip-skip).
    """

    namespace: Namespace
    model: Digest


@dataclass(frozen=True)
class PoolRecord:
    """One thing held. tokens: the whole prompt, or the path up to the slab's end; start: the slab's
    first position, None for a whole prompt. Raises ValueError for a run of no positions.
    """

    scope: Scope
    tokens: Tokens
    start: int | None
    value: Slab | Whole

    def __post_init__(self) -> None:
        if not 0 <= (self.start or 0) < len(self.tokens):
            raise ValueError(
                f"positions {self.start or 0} to {len(self.tokens)}: give one position at least"
            )
