"""What a pool may cost beside its budget, and what it refuses: many tenants, many victims."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cache import PoolRecord, PrefixPool, Scope, prefix_statistics
from cache.prefix_pool import ENTRY_BYTES
from cache.prefix_statistics import COUNTED_NAMESPACES
from cache.radix import Held, RadixTree
from cache.recency import LeastUseful, Recency
from tests.cache.pools import MODEL, SCOPE, Prompt, Run, asks, held, keep, keep_run


class TestManyTenants:
    def test_a_namespace_that_holds_nothing_leaves_no_queue_and_counts_are_bounded(self) -> None:
        """100,000 tenants took 175 MiB outside the budget."""
        pool = PrefixPool(3 * ENTRY_BYTES)
        tenants = COUNTED_NAMESPACES + 200
        for number in range(tenants):
            scope = Scope((f"{number}",), MODEL)
            asks(pool, (1, 2), scope=scope)
            keep(pool, (1, 2), scope=scope, size_bytes=0)
        assert len(pool._queues._own) == len(pool.namespaces()) == 3
        assert len(pool._counters._own) == COUNTED_NAMESPACES
        total = pool.statistics()
        assert (total.lookups, total.positions_asked) == (tenants, 2 * tenants)
        assert (total.insertions, total.evictions) == (tenants, tenants - 3)
        assert pool.statistics((f"{tenants - 1}",)).lookups == 1
        assert pool.statistics(("0",)).lookups == 0, "dropped: it begins anew"

    def test_the_namespace_that_asked_last_keeps_its_counts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(prefix_statistics, "COUNTED_NAMESPACES", 2)
        pool = PrefixPool(1 << 20)
        for name in ("a", "b", "a", "c"):
            asks(pool, (1,), scope=Scope((name,), MODEL))
        assert [pool.statistics((name,)).lookups for name in "abc"] == [2, 0, 1]
        assert pool.statistics().lookups == 4

    def test_what_is_evicted_from_a_dropped_namespace_counts_in_the_total_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(prefix_statistics, "COUNTED_NAMESPACES", 1)
        pool = PrefixPool(ENTRY_BYTES)
        for name in "ab":
            keep(pool, (1,), scope=Scope((name,), MODEL), size_bytes=0)
        assert pool.statistics().evictions == 1
        assert pool.statistics(("a",)).evictions == 0
        assert pool.statistics(("b",)).insertions == 1

    def test_recent_reuse_of_all_is_that_of_the_latest_lookups_of_all(self) -> None:
        """Every namespace's latest were joined: 0.4995 was reported where 0.0 was true."""
        pool = PrefixPool(1 << 20)
        old, new = Scope(("old",), MODEL), Scope(("new",), MODEL)
        keep(pool, (1, 2), scope=old)
        for _ in range(1000):
            asks(pool, (1, 2), scope=old)
        assert pool.statistics().recent_reuse == 1.0
        for _ in range(1000):
            asks(pool, (1, 2), scope=new)
        assert pool.statistics().recent_reuse == 0.0
        assert pool.statistics(("old",)).recent_reuse == 1.0
        asks(pool, (1, 2), scope=old)
        assert pool.statistics().recent_reuse == 1 / 1000


class TestTime:
    @pytest.mark.parametrize(
        "look",
        [
            lambda pool: pool.statistics().held_wholes,
            lambda pool: pool.statistics(()).held_wholes,
            lambda pool: len(pool.records()),
            lambda pool: len(pool.namespaces()),
            len,
        ],
    )
    def test_whoever_looks_sees_nothing_expired(self, look: Callable[[PrefixPool], int]) -> None:
        """Only a lookup made anything expire."""
        now = [0.0]
        pool = PrefixPool(1 << 20, ttl_seconds=10, clock=lambda: now[0])
        keep(pool, (1,))
        assert look(pool) == 1
        now[0] = 11
        assert look(pool) == 0
        assert pool.statistics().expirations == 1

    def test_what_is_kept_makes_what_nobody_used_expire_and_not_be_evicted(self) -> None:
        now = [0.0]
        pool = PrefixPool(ENTRY_BYTES + 200, ttl_seconds=10, clock=lambda: now[0])
        keep(pool, (1,))
        now[0] = 11
        assert keep(pool, (2,))
        assert (pool.statistics().expirations, pool.statistics().evictions) == (1, 0)
        assert [each.tokens for each in pool.records()] == [(2,)]


@dataclass(frozen=True)
class Unsplittable(Run):
    """A slab for whose parts there is no memory."""

    def split(self, at: int) -> tuple[Run, Run]:
        raise MemoryError


class TestNoMemoryToSplit:
    @staticmethod
    def check(pool: PrefixPool, before: object) -> None:
        assert held(pool) == before
        assert pool.statistics().pinned_bytes == 0
        for tree in pool._trees.values():
            nodes = list(tree.root.children.values())
            assert all(node.slab is not None or node.whole is not None for node in nodes)
        assert pool.statistics().size_bytes <= pool.max_bytes

    def test_leaves_the_tree_as_it_was_when_a_prompt_parts_within_a_slab(self) -> None:
        """The edge was cut already: a slab below a node without one."""
        pool = PrefixPool(1 << 20)
        pool.keep(PoolRecord(SCOPE, (1, 2, 3, 4), 0, Unsplittable((1, 2, 3, 4))))
        before = held(pool)
        with pytest.raises(MemoryError):
            keep(pool, (1, 2, 9))
        self.check(pool, before)
        with pytest.raises(MemoryError), pool.lease(SCOPE, (1, 2, 9)) as lease:
            lease.keep_prefix(Run((9,)), 2, 3)
        self.check(pool, before)

    def test_leaves_the_tree_as_it_was_when_a_new_slab_lies_over_a_branching(self) -> None:
        pool = PrefixPool(1 << 20)
        keep(pool, (1, 2, 9))
        before = held(pool)
        with pytest.raises(MemoryError):
            pool.keep(PoolRecord(SCOPE, (1, 2, 3, 4), 0, Unsplittable((1, 2, 3, 4))))
        self.check(pool, before)


def slow_victims(queue: Recency, tick: int) -> list[Held]:
    """What goes, in order, each found from the front."""
    policy, going = LeastUseful(), list[Held]()
    while (victim := next(queue.victims(policy, tick, going), None)) is not None:
        going.append(victim)
    return going


class TestManyVictims:
    def test_planned_at_once_are_those_found_one_by_one(self) -> None:
        rng = random.Random(1)
        for _ in range(200):
            tree, queue = RadixTree(), Recency()
            slabs = [tree.root]
            everything: list[Held] = []
            for number in range(12):
                node = tree.grow(rng.choice(slabs), (number,))
                is_slab = rng.random() < 0.7
                size = rng.randrange(1, 50)
                new = Held(Run((number,)), SCOPE, node, 1, size, 0, 0.0, is_slab)
                if is_slab:
                    node.slab = new
                    slabs.append(node)
                else:
                    node.whole = new
                everything.append(new)
            pinned = rng.choice(everything)
            for node in pinned.node.path() if pinned.is_slab else ():
                assert node.slab is not None
                node.slab.pins = 1
            pinned.pins = 1
            rng.shuffle(everything)
            for tick, each in enumerate(everything):
                each.tick = tick
                queue.add(each)
            at_once = list(queue.victims(LeastUseful(), 20))
            assert at_once == slow_victims(queue, 20)
            for place, each in enumerate(at_once):
                children = (child.slab for child in each.node.children.values())
                later = at_once[place + 1 :]
                assert not each.is_slab or not any(child in later for child in children)
            assert {each for each in everything if not each.pins} == set(at_once)

    @pytest.mark.parametrize("shape", ["apart", "below one", "a chain"])
    def test_go_in_linear_time(self, shape: str) -> None:
        """8,000 took 1.9 s: each was looked for from the front again."""

        def seconds(count: int) -> float:
            pool = PrefixPool(1 << 40)
            if shape == "below one":
                keep_run(pool, (0,))
            for number in range(1, count + 1):
                if shape == "apart":
                    keep(pool, (number,), size_bytes=0)
                elif shape == "below one":
                    keep_run(pool, (0, number), start=1)
                else:
                    path = tree_path(number % 500, number // 500)
                    keep_run(pool, path, start=len(path) - 1)
            pool.max_bytes = pool.statistics().size_bytes
            start = time.thread_time()
            assert keep(pool, (-1,), size_bytes=pool.max_bytes - ENTRY_BYTES)
            taken = time.thread_time() - start
            assert len(pool) == 1
            return taken

        small, large = (min(seconds(count) for _ in range(2)) for count in (1000, 8000))
        assert large < 30 * small + 0.05, f"{small:.3f} s for 1,000, {large:.3f} s for 8,000"

    def test_a_split_of_the_latest_slab_leaves_the_others_where_they_are(self) -> None:
        """All of the queue was copied for every split."""
        tree, queue = RadixTree(), Recency()
        slabs = [
            Held(Run((n,)), SCOPE, tree.grow(tree.root, (n,)), 1, 1, 0, 0.0, is_slab=True)
            for n in range(20_000)
        ]
        for each in slabs[:10_000]:
            queue.add(each)
        start = time.thread_time()
        for last, part in itertools.pairwise(slabs[9_999:]):
            queue.add_behind(part, last)
        assert time.thread_time() - start < 1
        assert list(queue) == slabs


def tree_path(branch: int, depth: int) -> Prompt:
    return (branch + 1, *range(depth))


class TestRefused:
    def test_a_negative_quota(self) -> None:
        with pytest.raises(ValueError, match="quota of \\('a',\\) is -1"):
            PrefixPool(10, quotas={("a",): -1})

    @pytest.mark.parametrize("namespace", ["tenant", ["tenant"], ("tenant", 1), None])
    def test_a_namespace_that_is_no_tuple_of_strings(self, namespace: object) -> None:
        with pytest.raises(ValueError, match="give a tuple of strings"):
            Scope(namespace, MODEL)  # type: ignore[arg-type]

    def test_a_quota_of_a_plain_string(self) -> None:
        with pytest.raises(ValueError, match="give a tuple of strings"):
            PrefixPool(10, quotas={"tenant": 1})  # type: ignore[dict-item]

    @pytest.mark.parametrize("token", [1 << 31, -(1 << 31) - 1, 1 << 70])
    def test_a_token_id_beyond_32_bits(self, token: int) -> None:
        pool = PrefixPool(1 << 20)
        with pytest.raises(ValueError, match="signed 32-bit"), pool.lease(SCOPE, (1, token)):
            pass
        with pytest.raises(ValueError, match="signed 32-bit"):
            keep(pool, (1, token))
        assert (len(pool), pool.statistics().lookups, pool._trees) == (0, 0, {})
        assert keep(pool, ((1 << 31) - 1, -(1 << 31)))
