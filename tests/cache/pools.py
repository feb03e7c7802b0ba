"""Prompts and slabs whose value is their tokens, and slow accounts of what a pool holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cache import PoolRecord, PrefixPool, Scope, digest
from cache.prefix_pool import ENTRY_BYTES
from cache.radix import shared_length

Prompt = tuple[int, ...]
MODEL = digest("model")
SCOPE = Scope((), MODEL)


@dataclass(frozen=True)
class Run:
    """A slab whose value is its tokens, so that what becomes of it can be read."""

    tokens: Prompt
    position_bytes: int = 300

    @property
    def size_bytes(self) -> int:
        return len(self.tokens) * self.position_bytes

    def split(self, at: int) -> tuple[Run, Run]:
        assert 0 < at < len(self.tokens)
        first, second = self.tokens[:at], self.tokens[at:]
        return Run(first, self.position_bytes), Run(second, self.position_bytes)


@dataclass(frozen=True)
class Finished:
    """A whole prompt's states."""

    tokens: Prompt
    size_bytes: int = 200


Key = tuple[Scope, Prompt, int | None]


def held(pool: PrefixPool) -> dict[Key, PoolRecord]:
    return {(each.scope, tuple(each.tokens), each.start): each for each in pool.records()}


def sizes(records: Iterable[PoolRecord]) -> int:
    return sum(ENTRY_BYTES + each.value.size_bytes for each in records)


def covered(records: Iterable[Key], scope: Scope, tokens: Prompt) -> int:
    """First positions of a prompt that slabs hold, found the slow way."""
    return max(
        (
            shared_length(run, tokens)
            for own, run, start in records
            if own == scope and start is not None
        ),
        default=0,
    )


def shared(records: Iterable[Key], scope: Scope, tokens: Prompt) -> int:
    return max((shared_length(run, tokens) for own, run, _ in records if own == scope), default=0)


def keep(pool: PrefixPool, tokens: Prompt, *, scope: Scope = SCOPE, size_bytes: int = 200) -> bool:
    return pool.keep(PoolRecord(scope, tokens, None, Finished(tokens, size_bytes)))


def keep_run(
    pool: PrefixPool, tokens: Prompt, *, start: int = 0, age: int = 0, scope: Scope = SCOPE
) -> bool:
    return pool.keep(PoolRecord(scope, tokens, start, Run(tokens[start:])), age)


def asks(pool: PrefixPool, tokens: Prompt, *, scope: Scope = SCOPE) -> bool:
    """Whether a prompt is found finished; counts as a use."""
    with pool.lease(scope, tokens) as lease:
        return lease.whole is not None
