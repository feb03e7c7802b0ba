"""What a prefix pool is asked for and what it holds, as values."""

from __future__ import annotations

from dataclasses import dataclass

from cache.keys import Digest
from cache.radix import Held, Slab, Tokens, Whole, token_array

Namespace = tuple[str, ...]
"""Whose prompts these are: () for everyone's, or (tenant,), or (tenant, template)."""


@dataclass(frozen=True)
class Scope:
    """What prompts may share: the namespace, and the model with everything that changes its states
    (weights, adapters and their scales, dtype, device kind, clip-skip). Raises ValueError for a
    namespace that is no tuple of strings.
    """

    namespace: Namespace
    model: Digest

    def __post_init__(self) -> None:
        check_namespace(self.namespace)


def check_namespace(namespace: object) -> None:
    """Raises ValueError for what is no tuple of strings; a plain string is an easy mistake."""
    if not isinstance(namespace, tuple) or not all(isinstance(name, str) for name in namespace):
        raise ValueError(f"namespace {namespace!r}: give a tuple of strings, such as ('tenant',)")


@dataclass(frozen=True)
class PoolRecord:
    """One thing held. tokens: the whole prompt, or the path up to the slab's end; start: the slab's
    first position, None for a whole prompt. Raises ValueError for a run of no positions, or for a
    token id beyond 32 bits.
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
        token_array(self.tokens)

    @classmethod
    def of(cls, held: Held) -> PoolRecord:
        """Something held, as it can be held again."""
        edges = [node.tokens for node in held.node.path()]
        tokens = tuple(token for edge in reversed(edges) for token in edge)
        return cls(held.scope, tokens, held.node.start if held.is_slab else None, held.value)
