"""Whose turn it is: lanes share time, requests share lanes, and nobody waits for ever."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.batching import GROWS_AFTER_STEPS, Batcher


def filled(*requests: tuple[str, str, int], largest: int = 4) -> Batcher[str]:
    """Requests of (owner, lane, rows); a row is called by its owner and number."""
    batcher: Batcher[str] = Batcher(largest)
    for owner, lane, rows in requests:
        for number in range(rows):
            batcher.add(f"{owner}{number}", lane, owner)
    return batcher


def chosen(batcher: Batcher[str]) -> list[str]:
    found = batcher.next()
    assert found is not None
    return found[1]


def test_nothing_to_draw_is_nothing_chosen() -> None:
    assert Batcher(3).next() is None


def test_rows_are_drawn_in_the_order_they_came() -> None:
    assert chosen(filled(("a", "s", 1), ("b", "s", 1), ("c", "s", 1))) == ["a0", "b0", "c0"]


def test_a_request_of_many_pictures_does_not_hold_up_one_of_a_single() -> None:
    batcher = filled(("many", "s", 9), ("one", "s", 1))
    assert chosen(batcher) == ["many0", "many1", "many2", "one0"]


def test_a_large_picture_does_not_hold_up_a_small_one() -> None:
    batcher = filled(("large", "L", 1), ("small", "S", 1))
    spent = {"L": 0.0, "S": 0.0}
    cost = {"L": 5.0, "S": 1.0}
    for _ in range(60):
        lane, _ = batcher.next() or (None, None)
        assert lane is not None
        spent[str(lane.key)] += cost[str(lane.key)]
        batcher.charge(lane, cost[str(lane.key)])
    assert abs(spent["L"] - spent["S"]) <= 5.0, "time is shared, not turns"


def test_a_lane_has_time_for_each_of_its_requests() -> None:
    batcher = filled(
        ("a", "crowded", 1), ("b", "crowded", 1), ("c", "crowded", 1), ("d", "idle", 1)
    )
    turns = []
    for _ in range(40):
        lane, _ = batcher.next() or (None, None)
        assert lane is not None
        turns.append(lane.key)
        batcher.charge(lane, 1.0)
    assert turns.count("crowded") == 30


def test_a_lane_that_comes_later_has_no_claim_to_the_past() -> None:
    batcher = filled(("old", "old", 1))
    for _ in range(100):
        lane, _ = batcher.next() or (None, None)
        assert lane is not None
        batcher.charge(lane, 1.0)
    batcher.add("new0", "new", "new")
    turns = []
    for _ in range(10):
        lane, _ = batcher.next() or (None, None)
        assert lane is not None
        turns.append(lane.key)
        batcher.charge(lane, 1.0)
    assert turns.count("old") == 5


def test_a_limit_that_memory_lowered_recovers_by_itself() -> None:
    batcher = filled(*((name, "s", 1) for name in "abcdef"), largest=6)
    lane, rows = batcher.next() or (None, [])
    assert lane is not None
    batcher.lower(lane, len(rows))
    assert len(chosen(batcher)) == 3
    for _ in range(3 * GROWS_AFTER_STEPS):
        batcher.charge(lane, 0.1)
    assert len(chosen(batcher)) == 6


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(1, 5)), min_size=1),
    st.integers(1, 5),
)
def test_every_row_is_drawn_to_its_end_and_no_batch_is_too_large(
    requests: list[tuple[int, int, int]], largest: int
) -> None:
    """Requests of (lane, rows, steps): each row gets exactly its steps, whoever is beside it."""
    batcher: Batcher[tuple[int, int]] = Batcher(largest)
    left = {}
    for owner, (lane_key, rows, steps) in enumerate(requests):
        for number in range(rows):
            batcher.add((owner, number), lane_key, owner)
            left[owner, number] = steps
    turns = 0
    while (found := batcher.next()) is not None:
        lane, rows_now = found
        assert 1 <= len(rows_now) <= largest
        assert len({requests[owner][0] for owner, _ in rows_now}) == 1
        for row in rows_now:
            left[row] -= 1
            assert left[row] >= 0
            if not left[row]:
                batcher.finish(row)
        batcher.charge(lane, 1.0)
        turns += 1
        assert turns <= sum(rows * steps for _, rows, steps in requests)
    assert not any(left.values())
    assert len(batcher) == 0
