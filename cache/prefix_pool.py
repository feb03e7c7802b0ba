"""The pool of prompts already encoded: whole ones, and the beginnings that several share.

A whole prompt's states are cheap to keep and save everything; a beginning's K/V are some 25 times
dearer and save a part of any prompt that begins so. Both live under one budget in bytes. The pool
knows no tensors: what it holds has a size and, if it is a slab, can be split.
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, cast

from cache.lease import Lease
from cache.prefix_records import Namespace, PoolRecord, Scope, check_namespace
from cache.prefix_statistics import PoolCounters, PrefixStatistics
from cache.radix import Held, Node, RadixTree, Slab, Tokens, Whole
from cache.recency import EvictionPolicy, LeastUseful, Queues

# What is allocated beside the states: a node, its place in two queues, a path's tokens, the headers
# of the states' tensors. Measured by tests/models/test_pool_bytes.py.
ENTRY_BYTES: Final = 2200


class PrefixPool:
    """Prompts by their tokens, within a budget in bytes; thread-safe.

    quotas: the most bytes a namespace may hold. ttl_seconds: how long what nobody uses is kept.
    Evicted is whatever saves least (LeastUseful: the least recently used, slabs sooner), never what
    is pinned, and of slabs only those that no other continues. A hit is verified token by token.
    Invariants: size ≤ budget; a slab's ancestors hold slabs; what finds no room changes nothing.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        quotas: Mapping[Namespace, int] | None = None,
        ttl_seconds: float | None = None,
        policy: EvictionPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes}: a budget is not negative")
        if ttl_seconds is not None and ttl_seconds <= 0:
            raise ValueError(f"ttl_seconds is {ttl_seconds}: give more than 0, or None for ever")
        for namespace, quota in (quotas or {}).items():
            check_namespace(namespace)
            if quota < 0:
                raise ValueError(f"the quota of {namespace} is {quota}: a quota is not negative")
        self.max_bytes = max_bytes
        self.ttl_seconds = ttl_seconds
        self._quotas = dict(quotas or {})
        self._policy = policy or LeastUseful()
        self._clock = clock
        self._trees: dict[Scope, RadixTree] = {}
        self._queues = Queues()
        self._counters = PoolCounters()
        self._tick = 0
        self._lock = threading.RLock()

    @contextmanager
    def lease(self, scope: Scope, tokens: Tokens, limit: int | None = None) -> Iterator[Lease]:
        """What is known of a prompt; pinned until the block is left, however it is left.

        limit: the most positions a prefix may give; the model computes the rest in any case.
        """
        lease = Lease(self, scope, tokens)
        with self._lock:
            self._tick += 1
            self._expire()
            self._look_up(lease, scope, tokens, len(tokens) if limit is None else limit)
            self._pin(lease.pinned, 1)
        try:
            yield lease
        finally:
            with self._lock:
                self._pin(lease.pinned, -1)

    def keep(self, record: PoolRecord, age: int = 0) -> bool:
        """Hold something; what is held already stays as it is. False if it found no room, or if a
        slab does not continue what is held.

        age: lookups since a slab would last have been of use: one that would be the next to go does
        not push out anything else.
        """
        with self._lock:
            self._expire()
            try:
                if record.start is None:
                    return self._keep_whole(record, record.value)
                return self._keep_slab(record, cast("Slab", record.value), record.start, age)
            finally:
                if not self._tree(record.scope).root.children:
                    del self._trees[record.scope]

    def clear(self, namespace: Namespace | None = None) -> int:
        """Forget what is not pinned, of one namespace or of all; how much. The counts stay."""
        with self._lock:
            going = list(self._queues.of(namespace).victims(self._policy, self._tick))
            for held in going:
                self._forget(held)
            return len(going)

    def statistics(self, namespace: Namespace | None = None) -> PrefixStatistics:
        """Counts so far, and what is held now; of one namespace or of all. The counts of one that
        has not asked for long begin anew (see PoolCounters); those of all do not.
        """
        with self._lock:
            self._expire()
            queue = self._queues.of(namespace)
            slabs = [held.size_bytes for held in queue if held.is_slab]
            return self._counters.of(namespace).snapshot(
                held_wholes=len(queue) - len(slabs),
                held_slabs=len(slabs),
                size_bytes=queue.size_bytes,
                whole_bytes=queue.size_bytes - sum(slabs),
                slab_bytes=sum(slabs),
                pinned_bytes=sum(held.size_bytes for held in queue if held.pins),
                max_bytes=self._limit(namespace),
            )

    def namespaces(self) -> tuple[Namespace, ...]:
        """Those that hold something."""
        with self._lock:
            self._expire()
            return self._queues.namespaces()

    def records(self) -> tuple[PoolRecord, ...]:
        """All that is held, in the order in which `keep` takes it back: eldest first, but a slab
        after the one it continues.
        """
        with self._lock:
            self._expire()
            ordered: dict[Held, None] = {}
            for held in sorted(self._queues.everything, key=lambda held: not held.is_slab):
                path = [node.slab for node in held.node.path()] if held.is_slab else [held]
                ordered |= dict.fromkeys(each for each in reversed(path) if each is not None)
            return tuple(PoolRecord.of(held) for held in ordered)

    def __len__(self) -> int:
        with self._lock:
            self._expire()
            return len(self._queues.everything)

    def _look_up(self, lease: Lease, scope: Scope, tokens: Tokens, limit: int) -> None:
        walk = self._trees.get(scope, RadixTree()).walk(tokens)
        last = walk.nodes[-1] if walk.nodes else None
        lease.shared = min(walk.depth, limit)
        lease.age = self._tick - last.tick if last is not None else 0
        for node in walk.nodes:
            node.tick = self._tick
        if last is not None and walk.depth == len(tokens) == last.end and last.whole is not None:
            lease.whole, lease.ready = last.whole.value, len(tokens)
            lease.pinned = last.whole
            self._touch(last.whole)
        else:
            path = list(itertools.takewhile(lambda node: node.slab is not None, walk.nodes))
            path = [node for node in path if node.start < lease.shared]
            slabs = [node.slab for node in path if node.slab is not None]
            for held in reversed(slabs):  # ancestors last: they are evicted after what continues
                self._touch(held)
            if slabs:
                lease.prefix = tuple(cast("Slab", held.value) for held in slabs)
                lease.ready = min(path[-1].end, lease.shared)
                lease.pinned = slabs[-1]
        for counters in self._counters.asked(scope.namespace):
            counters.looked_up(len(tokens), lease.ready, lease.whole is not None)

    def _keep_whole(self, record: PoolRecord, value: Whole) -> bool:
        walk = self._tree(record.scope).walk(record.tokens)
        last = walk.nodes[-1] if walk.nodes else None
        if last is not None and last.end == walk.depth == len(record.tokens) and last.whole:
            return True
        cut = last is not None and last.end > walk.depth and last.slab is not None
        size = value.size_bytes + ENTRY_BYTES * (1 + cut)  # a slab cut in two is one entry more
        if not self._make_room(record.scope.namespace, size):
            return False
        node = self._node_at(record.scope, record.tokens)
        node.whole = self._held(record.scope, node, value, is_slab=False)
        return True

    def _keep_slab(self, record: PoolRecord, value: Slab, start: int, age: int) -> bool:
        scope, tokens, end = record.scope, record.tokens, len(record.tokens)
        walk = self._tree(scope).walk(tokens)
        path = list(itertools.takewhile(lambda node: node.slab is not None, walk.nodes))
        covered = min(path[-1].end, walk.depth) if path else 0
        if not start <= covered < end:
            return covered >= end
        if covered > start:
            value, start = value.split(covered - start)[1], covered
        cuts = {min(node.end, walk.depth) for node in walk.nodes}
        pieces = 1 + sum(start < cut < end for cut in cuts) + any(n.end > start for n in path)
        size = value.size_bytes + ENTRY_BYTES * pieces
        score = self._policy.score(size, end - start, age + 1)
        continued = path[-1].slab if path else None
        self._pin(continued, 1)  # it must not go to make room
        fits = self._make_room(scope.namespace, size, score)
        self._pin(continued, -1)
        if not fits:
            return False
        walk = self._tree(scope).walk(tokens)  # what went may have joined edges
        cuts = {min(node.end, walk.depth) for node in walk.nodes}
        parts, at = [], start
        for cut in sorted(cut for cut in cuts if start < cut < end):
            part, value = value.split(cut - at)
            parts.append(part)
            at = cut
        leaf = self._node_at(scope, tokens)
        nodes = [node for node in leaf.path() if node.end > start]
        for node, part in zip(reversed(nodes), [*parts, value], strict=True):
            node.slab = self._held(scope, node, part, is_slab=True)
        return True

    def _node_at(self, scope: Scope, tokens: Tokens) -> Node:
        """The node at which these tokens end, made and cut off where need be."""
        tree = self._tree(scope)
        walk = tree.walk(tokens)
        node = walk.nodes[-1] if walk.nodes else tree.root
        if walk.depth < node.end:
            node = self._split(tree, node, walk.depth)
        if walk.depth < len(tokens):
            node = tree.grow(node, tokens[walk.depth :])
            node.tick = self._tick
        return node

    def _split(self, tree: RadixTree, node: Node, position: int) -> Node:
        """Cut the slab on an edge (it may lack the memory) and then the edge; both parts are as
        recent and as pinned as it was.
        """
        lower = node.slab
        if lower is None:
            return tree.split(node, position)
        first, second = cast("Slab", lower.value).split(position - node.start)
        upper = tree.split(node, position)
        size = ENTRY_BYTES + second.size_bytes
        for queue in self._queues.both(lower):
            queue.resize(lower, size)
        lower.value, lower.size_bytes, lower.positions = second, size, len(node.tokens)
        upper.slab = dataclasses.replace(
            lower, value=first, node=upper, positions=len(upper.tokens),
            size_bytes=ENTRY_BYTES + first.size_bytes,
        )  # fmt: skip
        for queue in self._queues.both(lower):
            queue.add_behind(upper.slab, lower)
        return upper

    def _held(self, scope: Scope, node: Node, value: Slab | Whole, is_slab: bool) -> Held:
        """A new thing held, the most recently used."""
        held = Held(
            value=value,
            scope=scope,
            node=node,
            positions=len(node.tokens) if is_slab else node.end,
            size_bytes=ENTRY_BYTES + value.size_bytes,
            tick=self._tick,
            seconds=self._clock(),
            is_slab=is_slab,
        )
        self._queues.add(held)
        for counters in self._counters.asked(scope.namespace):
            counters.insertions += 1
        return held

    def _make_room(self, namespace: Namespace, size: int, score: float = 0.0) -> bool:
        """Evict until so many bytes are free, for the namespace and for all.

        False, with nothing changed, if what is pinned leaves too little, or if something that would
        have to go is less dispensable than the newcomer's `score`.
        """
        going = self._plan(namespace, size, score)
        if going is None:
            for counters in self._counters.asked(namespace):
                counters.refusals += 1
            return False
        for held in going:
            for counters in self._counters.befallen(held.scope.namespace):
                counters.evictions += 1
            self._forget(held)
        return True

    def _plan(self, namespace: Namespace, size: int, score: float) -> list[Held] | None:
        """What has to go for so many bytes, in order; None if that is not to be."""
        limits = (
            (self._queues.of(namespace), self._limit(namespace)),
            (self._queues.everything, self.max_bytes),
        )
        if any(size > limit - queue.pinned_bytes for queue, limit in limits):
            return None
        going: dict[Held, None] = {}
        for queue, limit in limits:
            missing = queue.size_bytes + size - limit - sum(held.size_bytes for held in going)
            victims = queue.victims(self._policy, self._tick, frozenset(going))
            while missing > 0:
                victim = next(victims, None)
                if victim is None or queue.score(victim, self._policy, self._tick) < score:
                    return None
                going[victim] = None
                missing -= victim.size_bytes
        return list(going)

    def _expire(self) -> None:
        if self.ttl_seconds is None:
            return
        unused = self._queues.everything.unused_since(self._clock() - self.ttl_seconds)
        for held in list(unused):
            for counters in self._counters.befallen(held.scope.namespace):
                counters.expirations += 1
            self._forget(held)

    def _forget(self, held: Held) -> None:
        self._queues.remove(held)
        node = held.node
        if held.is_slab:
            node.slab = None
        else:
            node.whole = None
        tree = self._trees[held.scope]
        tree.prune(node)
        if not tree.root.children:
            del self._trees[held.scope]

    def _touch(self, held: Held) -> None:
        held.tick, held.seconds = self._tick, self._clock()
        for queue in self._queues.both(held):
            queue.touch(held)

    def _pin(self, held: Held | None, step: int) -> None:
        """Pin or free what a lease uses: a whole prompt, or a slab with all that it continues."""
        if held is None:
            return
        path = held.node.path() if held.is_slab else ()
        for each in [node.slab for node in path] if held.is_slab else [held]:
            assert each is not None  # a slab's ancestors hold slabs
            for queue in self._queues.both(each):
                queue.pin(each, step)
            each.pins += step

    def _tree(self, scope: Scope) -> RadixTree:
        return self._trees.setdefault(scope, RadixTree())

    def _limit(self, namespace: Namespace | None) -> int:
        quota = self.max_bytes if namespace is None else self._quotas.get(namespace, self.max_bytes)
        return min(quota, self.max_bytes)
