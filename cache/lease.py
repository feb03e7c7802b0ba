"""What a prefix pool knows of one prompt, for as long as somebody computes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.prefix_records import PoolRecord, Scope
from cache.radix import Held, Slab, Tokens, Whole

if TYPE_CHECKING:
    from cache.prefix_pool import PrefixPool


class Lease:
    """What the pool knows of one prompt, pinned until the lease ends.

    whole: its finished states, or None. prefix: slabs that continue each other from position 0 on;
    ready: the positions of them to use (the last slab's may be cut). shared: how many first tokens
    a prompt held begins with too: worth keeping beyond `ready`. age: lookups since one came by.
    """

    def __init__(self, pool: PrefixPool, scope: Scope, tokens: Tokens) -> None:
        self._pool, self._scope, self._tokens = pool, scope, tokens
        self.whole: Whole | None = None
        self.prefix: tuple[Slab, ...] = ()
        self.ready = 0
        self.shared = 0
        self.age = 0
        self.pinned: Held | None = None  # the whole prompt, or the deepest slab of the path

    def keep_whole(self, value: Whole) -> bool:
        """Hold the finished states of this prompt. False if they found no room."""
        return self._pool.keep(PoolRecord(self._scope, self._tokens, None, value))

    def keep_prefix(self, value: Slab, start: int, end: int) -> bool:
        """Hold the states of positions start … end - 1, which must continue what is held.

        False if they found no room, or would be the next to go, or what they continue has gone.
        """
        record = PoolRecord(self._scope, self._tokens[:end], start, value)
        return self._pool.keep(record, self.age)
