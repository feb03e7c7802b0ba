"""Random traffic over the pool of prompts, from one thread and from many."""

from __future__ import annotations

import itertools
import random
import threading
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cache import Lease, PrefixPool, Scope, digest
from cache.prefix_pool import ENTRY_BYTES
from tests.cache.pools import MODEL, SCOPE, Finished, Key, Prompt, Run, covered, held, shared, sizes

TTL_SECONDS = 50.0


class ForwardFailed(Exception):
    pass


@dataclass
class Open:
    block: AbstractContextManager[Lease]
    lease: Lease
    scope: Scope
    tokens: Prompt


SCOPES = st.sampled_from(
    [Scope((), MODEL), Scope((), MODEL), Scope(("a",), MODEL), Scope(("a",), digest("other"))]
)
PROMPTS = st.lists(st.integers(0, 1), min_size=1, max_size=7).map(tuple)
POSITIONS = st.integers(0, 7)


class PoolAgainstItsRecords(RuleBasedStateMachine):
    """Every promise is checked against what `records` says is held, computed the slow way."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.max_bytes, self.quota = 5 * ENTRY_BYTES, 3 * ENTRY_BYTES
        self.pool = PrefixPool(
            self.max_bytes,
            quotas={("a",): self.quota},
            ttl_seconds=TTL_SECONDS,
            clock=lambda: self.now,
        )
        self.leases: list[Open] = []
        self.used: dict[tuple[Scope, Prompt], float] = {}

    @rule(scope=SCOPES, tokens=PROMPTS, limit=st.none() | POSITIONS)
    def lease(self, scope: Scope, tokens: Prompt, limit: int | None) -> None:
        before = held(self.pool)
        block = self.pool.lease(scope, tokens, limit)
        lease = block.__enter__()
        self.leases.append(Open(block, lease, scope, tokens))
        after = held(self.pool)
        assert set(after) <= set(before)
        limit = len(tokens) if limit is None else limit
        assert lease.shared == min(shared(after, scope, tokens), limit)
        if (scope, tokens, None) in after:
            assert lease.whole == Finished(tokens)
            assert self.used[scope, tokens] >= self.now - TTL_SECONDS or any(
                each.lease.whole is not None and (each.scope, each.tokens) == (scope, tokens)
                for each in self.leases[:-1]
            )
            assert (lease.ready, lease.prefix) == (len(tokens), ())
            self.used[scope, tokens] = self.now
        else:
            assert lease.whole is None
            assert lease.ready == min(covered(after, scope, tokens), lease.shared)
            content = [token for run in lease.prefix for token in run.tokens]  # type: ignore[attr-defined]
            assert tuple(content[: lease.ready]) == tokens[: lease.ready]
            assert len(content) - len(lease.prefix[-1].tokens if content else ()) <= lease.ready  # type: ignore[attr-defined]

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def keep_whole(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(self.leases))
        before, pinned = held(self.pool), self.pool.statistics().pinned_bytes
        kept = each.lease.keep_whole(Finished(each.tokens))
        after = held(self.pool)
        if not kept:
            assert after == before
            if each.scope.namespace != ("a",):
                assert pinned + 2 * ENTRY_BYTES + 200 > self.max_bytes
        else:
            assert after[each.scope, each.tokens, None].value == Finished(each.tokens)
            if (each.scope, each.tokens, None) in before:
                assert after == before
            else:
                self.used[each.scope, each.tokens] = self.now

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), start=POSITIONS, length=POSITIONS)
    def keep_prefix(self, data: st.DataObject, start: int, length: int) -> None:
        each = data.draw(st.sampled_from(self.leases))
        start = data.draw(st.sampled_from([each.lease.ready, each.lease.ready, start]))
        end = min(len(each.tokens), start + length)
        if start >= end:
            return
        before = held(self.pool)
        already = covered(before, each.scope, each.tokens)
        kept = each.lease.keep_prefix(Run(each.tokens[start:end]), start, end)
        after = held(self.pool)
        if not kept:
            assert after == before
        else:
            assert start <= already
            assert covered(after, each.scope, each.tokens) >= end
            if already >= end:
                assert after == before

    @rule(scope=SCOPES, prompts=st.lists(PROMPTS, min_size=1, max_size=5))
    def encode(self, scope: Scope, prompts: list[Prompt]) -> None:
        """As the text encoder does it: a beginning seen before is kept, then the whole."""
        for tokens in prompts:
            with self.pool.lease(scope, tokens) as lease:
                if lease.whole is not None:
                    self.used[scope, tokens] = self.now
                    continue
                if lease.shared > lease.ready:
                    run = Run(tokens[lease.ready : lease.shared])
                    lease.keep_prefix(run, lease.ready, lease.shared)
                if lease.keep_whole(Finished(tokens)):
                    self.used[scope, tokens] = self.now
            self.bytes_add_up_and_stay_within_the_limits()

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), fails=st.booleans())
    def leave(self, data: st.DataObject, fails: bool) -> None:
        each = data.draw(st.sampled_from(self.leases))
        self.leases.remove(each)
        error = ForwardFailed() if fails else None
        assert not each.block.__exit__(type(error) if error else None, error, None)

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(namespace=st.sampled_from([None, (), ("a",), ("nobody",), ("nobody",)]))
    def clear(self, namespace: tuple[str, ...] | None) -> None:
        before = held(self.pool)
        self.pool.clear(namespace)
        after = held(self.pool)
        others = {key for key in before if namespace not in (None, key[0].namespace)}
        assert others <= set(after) <= set(before)
        if not self.leases:
            assert set(after) == others

    @invariant()
    def bytes_add_up_and_stay_within_the_limits(self) -> None:
        records = self.pool.records()
        statistics = self.pool.statistics()
        assert statistics.size_bytes == sizes(records) <= self.max_bytes
        assert len(self.pool) == len(records) == len(held(self.pool))
        assert statistics.held_slabs == sum(each.start is not None for each in records)
        for namespace in ((), ("a",), ("a", "b")):
            own = [each for each in records if each.scope.namespace == namespace]
            assert self.pool.statistics(namespace).size_bytes == sizes(own)
            assert self.pool.statistics(namespace).held_wholes == sum(e.start is None for e in own)
            assert (namespace in self.pool.namespaces()) == bool(own)
        assert self.pool.statistics(("a",)).size_bytes <= self.quota

    @invariant()
    def slabs_continue_each_other_from_position_0_and_hold_what_they_should(self) -> None:
        seen: set[tuple[Scope, Prompt]] = set()
        for each in self.pool.records():
            tokens = tuple(each.tokens)
            if each.start is None:
                assert each.value == Finished(tokens)
                continue
            assert each.value == Run(tokens[each.start :])
            assert each.start == 0 or (each.scope, tokens[: each.start]) in seen
            assert not any(
                (each.scope, tokens[:end]) in seen for end in range(each.start + 1, len(tokens) + 1)
            )
            seen.add((each.scope, tokens))

    @invariant()
    def what_is_leased_stays_and_nothing_else_is_pinned(self) -> None:
        records = held(self.pool)
        pinned: set[Key] = set()
        for each in self.leases:
            if each.lease.whole is not None:
                pinned.add((each.scope, each.tokens, None))
            elif each.lease.ready:
                assert covered(records, each.scope, each.tokens) >= each.lease.ready
                pinned |= {
                    key
                    for key in records
                    if key[0] == each.scope
                    and key[2] is not None
                    and key[2] < each.lease.ready
                    and key[1][: each.lease.ready]
                    == each.tokens[: min(len(key[1]), each.lease.ready)]
                }
        assert pinned <= set(records)
        least = sizes(records[key] for key in pinned)
        # a slab that was cut since counts with both its parts
        assert self.pool.statistics().pinned_bytes >= least
        assert bool(self.pool.statistics().pinned_bytes) == bool(pinned)

    def teardown(self) -> None:
        for each in self.leases:
            each.block.__exit__(None, None, None)
        assert self.pool.statistics().pinned_bytes == 0
        records = self.pool.records()
        other = PrefixPool(1 << 30)
        assert all(other.keep(record) for record in records)
        assert held(other) == held(self.pool)
        for scope, tokens in {(each.scope, tuple(each.tokens)) for each in records}:
            with self.pool.lease(scope, tokens) as one, other.lease(scope, tokens) as two:
                if (scope, tokens, None) in held(self.pool):  # else it has just expired
                    assert (one.whole, one.ready) == (two.whole, two.ready)
        self.pool.clear()
        assert (len(self.pool), self.pool.statistics().size_bytes) == (0, 0)
        assert not self.pool._trees


PoolAgainstItsRecords.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, derandomize=True
)
TestPoolAgainstItsRecords = PoolAgainstItsRecords.TestCase


@dataclass
class Traffic:
    pool: PrefixPool
    wrong: list[str] = field(default_factory=list)

    def run(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(250):
            scope = Scope((rng.choice("ab"),), MODEL)
            tokens = tuple(rng.randrange(2) for _ in range(rng.randrange(1, 9)))
            with suppress(ForwardFailed), self.pool.lease(scope, tokens) as lease:
                content = tuple(itertools.chain(*(run.tokens for run in lease.prefix)))  # type: ignore[attr-defined]
                if lease.whole not in (None, Finished(tokens)):
                    self.wrong.append(f"{lease.whole} for {tokens}")
                if lease.whole is None and content[: lease.ready] != tokens[: lease.ready]:
                    self.wrong.append(f"{content} for {tokens}")
                if rng.random() < 0.1:
                    raise ForwardFailed
                if lease.whole is None:
                    lease.keep_whole(Finished(tokens))
                    if lease.ready < len(tokens):
                        run = Run(tokens[lease.ready :])
                        lease.keep_prefix(run, lease.ready, len(tokens))
            if rng.random() < 0.01:
                self.pool.clear()


def test_many_threads_find_only_what_is_right_and_leave_nothing_pinned() -> None:
    traffic = Traffic(PrefixPool(20 * ENTRY_BYTES, quotas={("a",): 12 * ENTRY_BYTES}))
    threads = [threading.Thread(target=traffic.run, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = traffic.pool.statistics()
    assert traffic.wrong == []
    assert statistics.lookups == 8 * 250
    assert statistics.pinned_bytes == 0
    assert statistics.size_bytes == sizes(traffic.pool.records()) <= traffic.pool.max_bytes
    assert statistics.evictions > 0
    traffic.pool.clear()
    assert traffic.pool.statistics().size_bytes == 0


def zipf_trace(prompts: int, length: int, rng: random.Random) -> list[Prompt]:
    heads = [(0, *(rng.randrange(1, 50) for _ in range(20))) for _ in range(12)]
    texts = [
        (*rng.choice(heads), *(rng.randrange(50, 99) for _ in range(rng.randrange(2, 12))))
        for _ in range(prompts)
    ]
    weights = [1 / (rank + 1) for rank in range(prompts)]
    return [(*each, *[99] * (77 - len(each))) for each in rng.choices(texts, weights, k=length)]


def reused(trace: list[Prompt], max_bytes: int, *, with_prefixes: bool) -> int:
    pool = PrefixPool(max_bytes)
    for tokens in trace:
        limit = tokens.index(99)
        with pool.lease(SCOPE, tokens, limit) as lease:
            if lease.whole is None:
                lease.keep_whole(Finished(tokens, 77 * 3000))
                if with_prefixes and lease.shared - lease.ready >= 2:
                    run = Run(tokens[lease.ready : lease.shared], 25 * 3000)
                    lease.keep_prefix(run, lease.ready, lease.shared)
    return pool.statistics().positions_reused


def test_an_lru_of_whole_prompts_of_equal_bytes_is_never_ahead() -> None:
    trace = zipf_trace(800, 2000, random.Random(3))
    everything = 800 * 77 * 3000
    for share in (1, 2, 4, 8, 16, 32, 64):
        alone = reused(trace, everything // share, with_prefixes=False)
        pooled = reused(trace, everything // share, with_prefixes=True)
        assert pooled >= alone, f"budget 1/{share}: {pooled} positions, {alone} by plain LRU"
