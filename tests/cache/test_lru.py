"""The byte-budgeted LRU against a naive model, its pins, and many threads."""

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cache import ByteLRU

BUDGET = 20
KEYS = st.integers(0, 7)


@dataclass
class NaiveModel:
    """The same promises, written as slowly and plainly as possible; least recently used first."""

    entries: list[tuple[int, str, int]] = field(default_factory=list)
    pins: list[int] = field(default_factory=list)

    def size(self) -> int:
        return sum(size for _, _, size in self.entries)

    def find(self, key: int) -> tuple[int, str, int] | None:
        return next((entry for entry in self.entries if entry[0] == key), None)

    def use(self, key: int) -> str | None:
        entry = self.find(key)
        if entry is None:
            return None
        self.entries.remove(entry)
        self.entries.append(entry)
        return entry[1]

    def put(self, key: int, value: str, size: int) -> bool:
        if key in self.pins:
            self.use(key)
            return True
        pinned = sum(entry[2] for entry in self.entries if entry[0] in self.pins)
        if size + pinned > BUDGET:
            return False
        self.entries = [entry for entry in self.entries if entry[0] != key]
        while self.size() + size > BUDGET:
            self.entries.remove(next(e for e in self.entries if e[0] not in self.pins))
        self.entries.append((key, value, size))
        return True

    def remove(self, key: int) -> bool:
        if key in self.pins or self.find(key) is None:
            return False
        self.entries = [entry for entry in self.entries if entry[0] != key]
        return True


class LRUAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.lru: ByteLRU[int, str] = ByteLRU(BUDGET)
        self.model = NaiveModel()
        self.open: list[tuple[int, bool, AbstractContextManager[str | None]]] = []
        self.lookups = 0

    @rule(key=KEYS, value=st.text(max_size=2), size=st.integers(0, BUDGET + 3))
    def put(self, key: int, value: str, size: int) -> None:
        assert self.lru.put(key, value, size) == self.model.put(key, value, size)

    @rule(key=KEYS)
    def get(self, key: int) -> None:
        self.lookups += 1
        assert self.lru.get(key) == self.model.use(key)

    @rule(key=KEYS)
    def remove(self, key: int) -> None:
        assert self.lru.remove(key) == self.model.remove(key)

    @rule(key=KEYS)
    def pin(self, key: int) -> None:
        self.lookups += 1
        block = self.lru.pinned(key)
        held = self.model.find(key) is not None
        assert block.__enter__() == self.model.use(key)
        if held:
            self.model.pins.append(key)
        self.open.append((key, held, block))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), fails=st.booleans())
    def unpin(self, data: st.DataObject, fails: bool) -> None:
        key, held, block = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        if fails:
            error = RuntimeError("the work under the pin failed")
            assert not block.__exit__(RuntimeError, error, None)
        else:
            block.__exit__(None, None, None)
        if held:
            self.model.pins.remove(key)

    @rule()
    def clear(self) -> None:
        self.lru.clear()
        self.model.entries = [e for e in self.model.entries if e[0] in self.model.pins]

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        statistics = self.lru.statistics()
        assert self.lru.keys() == tuple(key for key, _, _ in self.model.entries)
        assert statistics.size_bytes == self.model.size() <= BUDGET
        assert statistics.pinned_bytes == sum(
            size for key, _, size in self.model.entries if key in self.model.pins
        )
        assert statistics.entries == len(self.lru) == len(self.model.entries)
        assert statistics.lookups == self.lookups


TestLRUAgainstModel = LRUAgainstModel.TestCase
TestLRUAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_was_used_longest_ago_goes_first() -> None:
    lru: ByteLRU[str, int] = ByteLRU(3)
    for key in "abc":
        lru.put(key, 0, 1)
    lru.get("a")
    lru.put("d", 0, 1)
    assert lru.keys() == ("c", "a", "d")
    assert lru.statistics().evictions == 1


def test_a_value_larger_than_the_room_beside_pins_evicts_nothing() -> None:
    lru: ByteLRU[str, int] = ByteLRU(10)
    lru.put("pinned", 1, 6)
    lru.put("free", 2, 4)
    with lru.pinned("pinned"):
        assert not lru.put("big", 3, 5)
    assert lru.keys() == ("free", "pinned")
    assert lru.statistics().refusals == 1
    assert lru.put("big", 3, 5)


def test_a_failed_block_leaves_nothing_pinned() -> None:
    lru: ByteLRU[str, int] = ByteLRU(10)
    lru.put("a", 1, 10)
    with pytest.raises(KeyError), lru.pinned("a"), lru.pinned("a"):
        raise KeyError("the work failed")
    assert lru.statistics().pinned_bytes == 0
    assert lru.put("b", 2, 10)


def test_none_and_nothing_are_counted_as_what_they_are() -> None:
    lru: ByteLRU[str, int] = ByteLRU(10)
    lru.put("a", 0, 1)
    assert (lru.get("a"), lru.get("b")) == (0, None)
    assert "a" in lru
    statistics = lru.statistics()
    assert (statistics.hits, statistics.misses, statistics.hit_rate) == (1, 1, 0.5)


@pytest.mark.parametrize("wrong", [-1, -100])
def test_negative_sizes_are_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="max_bytes"):
        ByteLRU[str, int](wrong)
    with pytest.raises(ValueError, match="size_bytes"):
        ByteLRU[str, int](1).put("a", 1, wrong)


def test_many_threads_leave_the_books_in_order() -> None:
    lru: ByteLRU[int, int] = ByteLRU(50)
    wrong: list[object] = []

    def work(seed: int) -> None:
        for step in range(400):
            key = (seed * 31 + step * 7) % 23
            with lru.pinned(key) as value:
                if value not in (None, key):
                    wrong.append((key, value))
                lru.put((key + step) % 23, (key + step) % 23, 1 + (key + step) % 23 % 5)
            if lru.statistics().size_bytes > 50:
                wrong.append("over the budget")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = lru.statistics()
    assert not wrong
    assert statistics.pinned_bytes == 0
    assert statistics.lookups == 6 * 400
    assert statistics.size_bytes == sum(1 + key % 5 for key in lru.keys())  # noqa: SIM118
