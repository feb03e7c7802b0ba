"""What the pool of prompts keeps, for whom, for how long, and what goes for it."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache import PoolRecord, PrefixPool, Scope, digest
from cache.prefix_pool import ENTRY_BYTES
from tests.cache.pools import MODEL, SCOPE, Finished, Prompt, Run, asks, held, keep, keep_run


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2000)), max_size=60))
def test_whole_prompts_alone_are_a_plain_lru(uses: list[tuple[int, int]]) -> None:
    limit = 5 * ENTRY_BYTES
    pool = PrefixPool(limit)
    naive: OrderedDict[Prompt, int] = OrderedDict()
    for number, size_bytes in uses:
        tokens = (1, number, 2)
        with pool.lease(SCOPE, tokens) as lease:
            assert (lease.whole is not None) == (tokens in naive)
            if lease.whole is not None:
                naive.move_to_end(tokens)
                continue
            assert lease.keep_whole(Finished(tokens, size_bytes))
        naive[tokens] = ENTRY_BYTES + size_bytes
        while sum(naive.values()) > limit:
            naive.popitem(last=False)
        assert [each.tokens for each in pool.records()] == list(naive)


class TestWhatIsKept:
    def test_nothing_has_room_in_an_empty_budget(self) -> None:
        pool = PrefixPool(0)
        with pool.lease(SCOPE, (1, 2)) as lease:
            assert not lease.keep_whole(Finished((1, 2)))
            assert not lease.keep_prefix(Run((1,)), 0, 1)
        statistics = pool.statistics()
        assert (len(pool), statistics.size_bytes, statistics.refusals) == (0, 0, 2)
        assert not pool._trees

    def test_what_is_larger_than_the_budget_pushes_nothing_out(self) -> None:
        pool = PrefixPool(ENTRY_BYTES + 4000)
        keep(pool, (1,))
        before = pool.records()
        assert not keep(pool, (2,), size_bytes=4001)
        assert pool.records() == before
        assert keep(pool, (2,), size_bytes=4000)

    def test_a_slab_kept_twice_is_kept_once(self) -> None:
        pool = PrefixPool(1 << 20)
        assert keep_run(pool, (1, 2, 3))
        assert keep_run(pool, (1, 2, 3))
        assert keep_run(pool, (1, 2))
        assert len(pool) == 1

    def test_a_slab_that_overlaps_what_is_held_gives_only_what_is_new(self) -> None:
        pool = PrefixPool(1 << 20)
        keep_run(pool, (1, 2, 3))
        assert keep_run(pool, (1, 2, 3, 4, 5), start=1)
        assert [(each.tokens, each.value) for each in pool.records()] == [
            ((1, 2, 3), Run((1, 2, 3))),
            ((1, 2, 3, 4, 5), Run((4, 5))),
        ]

    def test_a_slab_that_continues_nothing_is_not_held(self) -> None:
        pool = PrefixPool(1 << 20)
        assert not keep_run(pool, (1, 2, 3), start=1)
        assert len(pool) == 0
        assert not pool._trees

    def test_where_prompts_part_a_slab_is_cut_and_keeps_its_content(self) -> None:
        pool = PrefixPool(1 << 20)
        keep_run(pool, (1, 2, 3, 4))
        keep_run(pool, (1, 2, 5), start=0)
        keep(pool, (1, 2, 3, 9))
        assert {(each.tokens, each.start): each.value for each in pool.records()} == {
            ((1, 2), 0): Run((1, 2)),
            ((1, 2, 3), 2): Run((3,)),
            ((1, 2, 3, 4), 3): Run((4,)),
            ((1, 2, 5), 2): Run((5,)),
            ((1, 2, 3, 9), None): Finished((1, 2, 3, 9)),
        }

    def test_a_slab_cut_while_it_is_leased_stays_pinned_in_both_parts(self) -> None:
        pool = PrefixPool(1 << 20)
        keep_run(pool, (1, 2, 3, 4))
        with pool.lease(SCOPE, (1, 2, 3, 4, 5)) as lease:
            keep(pool, (1, 2, 7))
            pool.clear()
            assert {each.tokens for each in pool.records()} == {(1, 2), (1, 2, 3, 4)}
            assert lease.ready == 4
        assert pool.statistics().pinned_bytes == 0

    def test_a_run_of_no_positions_is_refused(self) -> None:
        """An empty prompt would lie at the root, where nothing finds it and nothing evicts it."""
        for tokens, start in (((), None), ((1, 2), 2), ((1, 2), -1)):
            with pytest.raises(ValueError, match="one position at least"):
                PoolRecord(SCOPE, tokens, start, Run(()))

    def test_bad_budgets_are_refused(self) -> None:
        with pytest.raises(ValueError, match="max_bytes is -1"):
            PrefixPool(-1)
        with pytest.raises(ValueError, match="ttl_seconds is 0"):
            PrefixPool(1, ttl_seconds=0)


class TestRoom:
    def test_cutting_a_slab_to_hold_a_prompt_stays_within_the_budget(self) -> None:
        """Each part is an entry of its own: the second one's bytes were not asked for."""
        pool = PrefixPool(2 * ENTRY_BYTES + 4 * 300 + 200)
        keep_run(pool, (1, 2, 3, 4))
        with pool.lease(SCOPE, (1, 2, 7)) as lease:
            assert lease.ready == 2
            assert not lease.keep_whole(Finished((1, 2, 7)))
        assert pool.statistics().size_bytes <= pool.max_bytes

    def test_cutting_a_slab_to_continue_it_stays_within_the_budget(self) -> None:
        pool = PrefixPool(2 * ENTRY_BYTES + 5 * 300)
        keep_run(pool, (1, 2, 3, 4))
        with pool.lease(SCOPE, (1, 2, 7)) as lease:
            assert not lease.keep_prefix(Run((7,)), 2, 3)
        assert pool.statistics().size_bytes <= pool.max_bytes

    def test_a_slab_over_several_branchings_is_as_many_entries(self) -> None:
        pool = PrefixPool(2 * (ENTRY_BYTES + 200) + 2 * ENTRY_BYTES + 4 * 300)
        keep(pool, (1, 2, 9))
        keep(pool, (1, 2, 3, 8))
        assert not keep_run(pool, (1, 2, 3, 4))  # cut at 2 and at 3: three entries
        assert (len(pool), pool.statistics().held_slabs) == (2, 0)
        pool.max_bytes += ENTRY_BYTES
        assert keep_run(pool, (1, 2, 3, 4))
        assert (len(pool), pool.statistics().size_bytes) == (5, pool.max_bytes)

    def test_a_slab_does_not_push_out_what_it_continues(self) -> None:
        """That left neither: what finds no room changes nothing."""
        pool = PrefixPool(2 * ENTRY_BYTES + 3 * 300)
        keep_run(pool, (1, 2))
        before = held(pool)
        assert not keep_run(pool, (1, 2, 3, 4), start=2)
        assert held(pool) == before

    def test_a_slab_that_would_be_the_next_to_go_pushes_nothing_out(self) -> None:
        pool = PrefixPool(3 * (ENTRY_BYTES + 600))
        for number in (1, 2, 3):
            assert keep_run(pool, (number, 0))
        asks(pool, (9,))  # all are two lookups old now
        before = held(pool)
        assert not keep_run(pool, (4, 0), age=5)
        assert held(pool) == before
        assert pool.statistics().refusals == 1
        assert keep_run(pool, (4, 0), age=0)
        assert pool.statistics().evictions == 1

    def test_a_slab_pushes_out_only_what_is_less_useful_however_many_must_go(self) -> None:
        """Only the first to go was compared: a large slab took better ones with it."""
        pool = PrefixPool(3 * (ENTRY_BYTES + 600))
        keep_run(pool, (1, 0))
        for _ in range(20):
            asks(pool, (9,))
        keep_run(pool, (2, 0))
        keep_run(pool, (3, 0))
        before = held(pool)
        assert not keep_run(pool, (4, 0, 0, 0, 0, 0), age=5)  # would take (1, 0), then (2, 0)
        assert held(pool) == before
        assert keep_run(pool, (4, 0), age=5)
        assert (SCOPE, (1, 0), 0) not in held(pool)

    def test_where_a_prompt_last_came_by_is_known_after_a_cut(self) -> None:
        """A new branching was as old as the pool: its slab looked useless, and was refused."""
        pool = PrefixPool(1 << 20)
        for _ in range(50):
            asks(pool, (9,))
        for last in (3, 4):
            with pool.lease(SCOPE, (1, 2, last)) as lease:
                lease.keep_whole(Finished((1, 2, last)))
        with pool.lease(SCOPE, (1, 2, 5)) as lease:
            assert (lease.shared, lease.age) == (2, 1)

    def test_a_leased_prompt_is_never_pushed_out(self) -> None:
        pool = PrefixPool(2 * ENTRY_BYTES)
        keep(pool, (1,), size_bytes=0)
        with pool.lease(SCOPE, (1,)) as lease:
            for number in range(2, 9):
                keep(pool, (number,), size_bytes=0)
            assert not keep(pool, (9,), size_bytes=1)
            assert lease.whole is not None
        assert asks(pool, (1,))

    def test_an_exception_or_a_cancelled_task_unpins(self) -> None:
        pool = PrefixPool(1 << 20)
        keep(pool, (1,))
        keep_run(pool, (2, 3))
        for error in (ValueError, KeyboardInterrupt, GeneratorExit):
            for tokens in ((1,), (2, 3, 4)):
                block = pool.lease(SCOPE, tokens)
                block.__enter__()
                assert pool.statistics().pinned_bytes > 0
                assert not block.__exit__(error, error(), None)
        assert pool.statistics().pinned_bytes == 0


class TestNamespaces:
    def test_never_see_each_others_prompts(self) -> None:
        pool = PrefixPool(1 << 20)
        mine, yours = Scope(("me",), MODEL), Scope(("you",), MODEL)
        keep(pool, (1, 2), scope=mine)
        keep_run(pool, (1, 2, 3), scope=mine)
        for scope in (yours, SCOPE, Scope(("me", "too"), MODEL), Scope(("me",), digest("other"))):
            with pool.lease(scope, (1, 2)) as lease:
                assert (lease.whole, lease.prefix, lease.shared) == (None, (), 0)
        assert asks(pool, (1, 2), scope=mine)

    def test_a_full_quota_evicts_among_its_own_only(self) -> None:
        pool = PrefixPool(1 << 20, quotas={("a",): 2 * ENTRY_BYTES})
        own, other = Scope(("a",), MODEL), Scope(("b",), MODEL)
        for number in range(5):
            keep(pool, (number,), scope=other, size_bytes=0)
            keep(pool, (number,), scope=own, size_bytes=0)
        assert [each.tokens for each in pool.records() if each.scope == own] == [(3,), (4,)]
        assert sum(each.scope == other for each in pool.records()) == 5
        assert pool.statistics(("a",)).max_bytes == 2 * ENTRY_BYTES
        assert pool.statistics(("b",)).max_bytes == 1 << 20

    def test_a_quota_and_the_budget_hold_at_once(self) -> None:
        pool = PrefixPool(4 * ENTRY_BYTES, quotas={("a",): 2 * ENTRY_BYTES})
        own, other = Scope(("a",), MODEL), Scope(("b",), MODEL)
        for number in range(3):
            keep(pool, (number,), scope=other, size_bytes=0)
        for number in range(3):
            keep(pool, (number,), scope=own, size_bytes=0)
            assert pool.statistics(("a",)).size_bytes <= 2 * ENTRY_BYTES
        assert pool.statistics(("b",)).held_wholes == 2


class TestTime:
    def test_what_nobody_uses_expires(self) -> None:
        now = [0.0]
        pool = PrefixPool(1 << 20, ttl_seconds=10, clock=lambda: now[0])
        keep(pool, (1,))
        keep(pool, (2,))
        keep_run(pool, (3, 4))
        keep_run(pool, (3, 4, 5), start=2)
        now[0] = 9
        assert asks(pool, (1,))
        now[0] = 11
        assert asks(pool, (1,))
        assert [each.tokens for each in pool.records()] == [(1,)]
        assert pool.statistics().expirations == 3

    def test_what_is_leased_expires_only_afterwards(self) -> None:
        now = [0.0]
        pool = PrefixPool(1 << 20, ttl_seconds=10, clock=lambda: now[0])
        keep_run(pool, (3, 4))
        with pool.lease(SCOPE, (3, 4, 5)):
            now[0] = 100
            asks(pool, (9,))
            assert len(pool) == 1
        asks(pool, (9,))
        assert len(pool) == 0


class TestStatistics:
    def test_add_up(self) -> None:
        pool = PrefixPool(1 << 20)
        keep(pool, (1, 2, 3, 4))
        keep_run(pool, (5, 6))
        for scope, tokens in (
            (SCOPE, (1, 2, 3, 4)),
            (SCOPE, (5, 6, 7)),
            (SCOPE, (8,)),
            (Scope(("b",), MODEL), (5, 6, 7)),
        ):
            asks(pool, tokens, scope=scope)
        counts = pool.statistics()
        assert (counts.lookups, counts.wholes, counts.prefixes, counts.misses) == (4, 1, 1, 2)
        assert (counts.positions_asked, counts.positions_reused) == (11, 6)
        assert counts.reuse == counts.recent_reuse == 6 / 11
        assert counts.hit_rate == 1 / 4
        assert (counts.held_wholes, counts.held_slabs, counts.insertions) == (1, 1, 2)
        assert (counts.whole_bytes, counts.slab_bytes) == (ENTRY_BYTES + 200, ENTRY_BYTES + 600)
        assert counts.size_bytes == counts.whole_bytes + counts.slab_bytes
        own = pool.statistics(())
        assert (own.lookups, own.misses, own.positions_asked) == (3, 1, 8)
        assert pool.statistics(("b",)).lookups == 1

    def test_a_prompt_that_a_slab_covers_is_not_counted_as_finished(self) -> None:
        pool = PrefixPool(1 << 20)
        keep_run(pool, (5, 6))
        assert not asks(pool, (5, 6))
        assert (pool.statistics().wholes, pool.statistics().prefixes) == (0, 1)

    def test_of_an_unused_pool_are_zero_and_divide_by_nothing(self) -> None:
        counts = PrefixPool(10).statistics()
        assert (counts.hit_rate, counts.reuse, counts.recent_reuse) == (0.0, 0.0, 0.0)


class TestRecords:
    def test_go_back_in_the_order_of_their_use(self) -> None:
        """They were sorted by length: a smaller pool kept the longest instead of the latest."""
        pool = PrefixPool(1 << 20)
        for number in (1, 2, 3, 4):
            keep_run(pool, (number, *range(10 + 4 - number)))
        with pool.lease(SCOPE, (1, *range(13), 99)):
            pass
        assert [each.tokens[0] for each in pool.records()] == [2, 3, 4, 1]

    def test_a_slab_follows_the_one_it_continues(self) -> None:
        pool = PrefixPool(1 << 20)
        keep_run(pool, (1, 2))
        keep_run(pool, (1, 2, 3), start=2)
        keep_run(pool, (1, 2, 4), start=2)
        keep_run(pool, (5, 6))
        with pool.lease(SCOPE, (1, 2, 3, 9)):
            pass
        assert [each.tokens for each in pool.records()] == [
            (1, 2), (1, 2, 4), (5, 6), (1, 2, 3),
        ]  # fmt: skip

    def test_into_a_smaller_pool_keep_the_latest(self) -> None:
        pool = PrefixPool(1 << 20)
        for number in range(10):
            keep(pool, (number,), size_bytes=0)
        asks(pool, (0,))
        smaller = PrefixPool(3 * ENTRY_BYTES)
        for record in pool.records():
            smaller.keep(record)
        assert [each.tokens for each in smaller.records()] == [(8,), (9,), (0,)]

    def test_of_slabs_into_a_smaller_pool_keep_the_latest(self) -> None:
        pool = PrefixPool(1 << 20)
        for number in range(6):
            keep_run(pool, (number, 7, 8))
        with pool.lease(SCOPE, (0, 7, 8, 9)):
            pass
        smaller = PrefixPool(2 * (ENTRY_BYTES + 900))
        for record in pool.records():
            smaller.keep(record)
        assert [each.tokens[0] for each in smaller.records()] == [5, 0]
