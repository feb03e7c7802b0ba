"""The conditioning store against a naive model; one computation for many threads; failures."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cache import ConditioningStore, Digest, Leased, digest
from cache.conditioning import ENTRY_BYTES

BUDGET = 4 * ENTRY_BYTES
KEYS = [digest(number) for number in range(6)]


@dataclass(frozen=True, eq=False)
class Slab:
    """A value of a size; two of one name are different objects."""

    name: str
    size_bytes: int = 0


@dataclass
class NaiveStore:
    """The same promises, plainly; held is least recently used first."""

    held: list[tuple[Digest, Slab]] = field(default_factory=list)
    in_use: list[tuple[Digest, Slab]] = field(default_factory=list)
    computed: int = 0
    reused: int = 0
    failures: int = 0

    def size(self, entries: list[tuple[Digest, Slab]]) -> int:
        return sum(ENTRY_BYTES + slab.size_bytes for _, slab in entries)

    def pinned(self) -> list[tuple[Digest, Slab]]:
        used = {key for key, _ in self.in_use}
        return [entry for entry in self.held if entry[0] in used]

    def find(self, key: Digest) -> Slab | None:
        """A value in use or held; a use of it."""
        slab = next((slab for own, slab in self.in_use + self.held if own == key), None)
        for entry in self.held:
            if entry[0] == key:
                self.held.remove(entry)
                self.held.append(entry)
                break
        return slab

    def lease(self, key: Digest, fresh: Slab) -> tuple[Slab, bool]:
        slab = self.find(key)
        if slab is not None:
            self.reused += 1
        else:
            self.computed += 1
            slab = fresh
            if self.size([(key, fresh)]) + self.size(self.pinned()) <= BUDGET:
                while self.size([*self.held, (key, fresh)]) > BUDGET:
                    pinned = self.pinned()
                    self.held.remove(next(entry for entry in self.held if entry not in pinned))
                self.held.append((key, fresh))
        reused = slab is not fresh
        self.in_use.append((key, slab))
        return slab, reused


class StoreAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store: ConditioningStore[Slab] = ConditioningStore(BUDGET)
        self.model = NaiveStore()
        self.open: list[tuple[Digest, Slab, AbstractContextManager[Leased[Slab]]]] = []

    @rule(key=st.sampled_from(KEYS), size=st.integers(0, 2 * BUDGET))
    def lease(self, key: Digest, size: int) -> None:
        fresh = Slab(key, size)
        block = self.store.lease(key, lambda: fresh)
        leased = block.__enter__()
        slab, reused = self.model.lease(key, fresh)
        assert (leased.value, leased.reused) == (slab, reused)
        assert leased.value.name == key
        self.open.append((key, slab, block))

    @rule(key=st.sampled_from(KEYS))
    def fail(self, key: Digest) -> None:
        def compute() -> Slab:
            raise MemoryError

        if self.model.find(key) is None:
            self.model.failures += 1
            with pytest.raises(MemoryError), self.store.lease(key, compute):
                pass
        else:
            self.model.reused += 1
            with self.store.lease(key, compute) as leased:
                assert leased.reused

    @precondition(lambda self: self.open)
    @rule(data=st.data(), fails=st.booleans())
    def leave(self, data: st.DataObject, fails: bool) -> None:
        key, slab, block = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.model.in_use.remove((key, slab))
        if fails:
            error = RuntimeError("the drawing failed")
            assert not block.__exit__(RuntimeError, error, None)
        else:
            block.__exit__(None, None, None)

    @rule()
    def clear(self) -> None:
        self.store.clear()
        self.model.held = self.model.pinned()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        statistics, model = self.store.statistics(), self.model
        assert self.store.keys() == tuple(key for key, _ in model.held)
        assert statistics.size_bytes == model.size(model.held) <= BUDGET
        assert statistics.pinned_bytes == model.size(model.pinned())
        assert statistics.entries == len(model.held)
        counts = (statistics.computed, statistics.reused, statistics.failures)
        assert counts == (model.computed, model.reused, model.failures)
        assert all(key in self.store for key, _ in model.held)


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_threads_that_ask_at_once_wait_for_one_computation() -> None:
    store: ConditioningStore[Slab] = ConditioningStore(10 * ENTRY_BYTES)
    started, go = threading.Event(), threading.Event()
    got: list[Leased[Slab]] = []

    def compute() -> Slab:
        started.set()
        assert go.wait(10)
        return Slab("slow", 1)

    def ask() -> None:
        with store.lease(KEYS[0], compute) as leased:
            got.append(leased)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    with store.lease(KEYS[1], lambda: Slab("other")) as other:
        assert other.value.name == "other", "another key waits for nobody"
    go.set()
    for thread in threads:
        thread.join(10)
    assert len({id(leased.value) for leased in got}) == 1
    assert sorted(leased.reused for leased in got) == [False] + 7 * [True]
    statistics = store.statistics()
    assert (statistics.computed, statistics.reused) == (2, 7)
    assert statistics.reuse == 7 / 9
    assert statistics.pinned_bytes == 0


def test_when_the_first_fails_the_next_one_waiting_computes() -> None:
    store: ConditioningStore[Slab] = ConditioningStore(10 * ENTRY_BYTES)
    started, go = threading.Event(), threading.Event()
    failed: list[BaseException] = []
    got: list[Slab] = []

    def fail() -> Slab:
        started.set()
        assert go.wait(10)
        raise KeyboardInterrupt

    def first() -> None:
        try:
            with store.lease(KEYS[0], fail):
                pass
        except KeyboardInterrupt as error:
            failed.append(error)

    def second() -> None:
        with store.lease(KEYS[0], lambda: Slab("second")) as leased:
            got.append(leased.value)

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert started.wait(10)
    threads += [threading.Thread(target=second) for _ in range(4)]
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(failed) == 1
    assert len(got) == 4
    assert len(set(map(id, got))) == 1
    statistics = store.statistics()
    assert (statistics.computed, statistics.reused, statistics.failures) == (1, 3, 1)


def test_a_failed_computation_leaves_nothing_behind() -> None:
    store: ConditioningStore[Slab] = ConditioningStore(10 * ENTRY_BYTES)

    def fail() -> Slab:
        raise ValueError("no such prompt")

    with pytest.raises(ValueError, match="no such prompt"), store.lease(KEYS[0], fail):
        pass
    negative = store.lease(KEYS[0], lambda: Slab("wrong", -2 * ENTRY_BYTES))
    with pytest.raises(ValueError, match="size_bytes"), negative:
        pass
    assert KEYS[0] not in store
    assert store.statistics().size_bytes == 0
    with store.lease(KEYS[0], lambda: Slab("right")) as leased:
        assert (leased.value.name, leased.reused) == ("right", False)


def test_a_value_without_room_is_shared_while_in_use() -> None:
    store: ConditioningStore[Slab] = ConditioningStore(0)
    with store.lease(KEYS[0], lambda: Slab("large")) as first:
        with store.lease(KEYS[0], lambda: Slab("again")) as second:
            assert second.value is first.value
            assert second.reused
        assert KEYS[0] not in store
    with store.lease(KEYS[0], lambda: Slab("later")) as third:
        assert third.value.name == "later"
    assert store.statistics().refusals == 2


def test_asking_for_oneself_is_refused_instead_of_waiting_for_ever() -> None:
    store: ConditioningStore[Slab] = ConditioningStore(10 * ENTRY_BYTES)

    def circular() -> Slab:
        with store.lease(KEYS[0], circular) as leased:
            return leased.value

    outer = store.lease(KEYS[0], circular)
    with pytest.raises(RuntimeError, match="asks for its own value"), outer:
        pass
    with store.lease(KEYS[0], lambda: Slab("fine")) as leased:
        assert leased.value.name == "fine"


def test_a_lease_may_end_in_another_thread() -> None:
    store: ConditioningStore[Slab] = ConditioningStore(10 * ENTRY_BYTES)
    block = store.lease(KEYS[0], lambda: Slab("value"))
    block.__enter__()
    assert store.statistics().pinned_bytes == ENTRY_BYTES
    thread = threading.Thread(target=block.__exit__, args=(None, None, None))
    thread.start()
    thread.join(10)
    assert store.statistics().pinned_bytes == 0


def test_many_threads_leave_the_books_in_order() -> None:
    store: ConditioningStore[Slab] = ConditioningStore(3 * ENTRY_BYTES)
    wrong: list[object] = []
    asked = [0] * 6

    def work(seed: int) -> None:
        for step in range(300):
            key = KEYS[(seed * 31 + step * 7) % len(KEYS)]

            def compute(key: Digest = key, step: int = step) -> Slab:
                if step % 17 == 0:
                    raise LookupError
                return Slab(key, step % 5)

            try:
                with store.lease(key, compute) as leased:
                    asked[seed] += 1
                    if leased.value.name != key:
                        wrong.append((key, leased.value.name))
            except LookupError:
                pass
            if store.statistics().size_bytes > 3 * ENTRY_BYTES:
                wrong.append("over the budget")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = store.statistics()
    assert not wrong
    assert statistics.pinned_bytes == 0
    assert statistics.computed + statistics.reused == sum(asked)
    assert not store._uses


def test_namespaces_share_no_values_not_even_those_being_computed() -> None:
    store: ConditioningStore[Slab] = ConditioningStore(10 * ENTRY_BYTES)
    with (
        store.lease(KEYS[0], lambda: Slab("everyone's")) as first,
        store.lease(KEYS[0], lambda: Slab("one's"), ("one",)) as second,
        store.lease(KEYS[0], lambda: Slab("again"), ("one",)) as third,
    ):
        assert (first.value.name, first.reused) == ("everyone's", False)
        assert (second.value.name, second.reused) == ("one's", False)
        assert third.value is second.value
        assert store.clear(("one",)) == 0, "it is in use"
    assert store.keys() == store.keys(("one",)) == (KEYS[0],)
    assert (store.clear(("one",)), store.keys(("one",)), store.clear()) == (1, (), 1)
