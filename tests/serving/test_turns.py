"""Whose turn it is, and how often."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from serving.fair_queue import FairQueue
from serving.rates import RateLimiter


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_all_are_served_each_tenant_in_order_and_none_waits_for_anothers_second_turn(
    arrivals: list[str],
) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, tenant in enumerate(arrivals):
        queue.put(tenant, (tenant, number))
    assert len(queue) == len(arrivals)
    served = []
    while (item := queue.take()) is not None:
        served.append(item)
    assert sorted(number for _, number in served) == list(range(len(arrivals)))
    for tenant in "abc":
        own = [number for name, number in served if name == tenant]
        assert own == sorted(own)
    waiting, turns = Counter(arrivals), Counter[str]()
    for tenant, _ in served:
        others = [name for name in waiting if waiting[name] > turns[name]]
        assert turns[tenant] == min(turns[name] for name in others)
        turns[tenant] += 1


def test_who_leaves_the_queue_is_not_served() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(3):
        queue.put("a", number)
    assert queue.remove("a", 1)
    assert not queue.remove("a", 1)
    assert not queue.remove("b", 0)
    assert [queue.take(), queue.take(), queue.take()] == [0, 2, None]


def test_who_could_not_be_served_is_first_again() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(3):
        queue.put("a", number)
    queue.put("b", 9)
    taken = queue.take()
    assert taken == 0
    queue.put_first("a", taken)
    assert queue.take() == 0


def test_a_bucket_holds_a_minutes_requests_and_refills_evenly() -> None:
    now = [0.0]
    limiter = RateLimiter(lambda: now[0])
    assert [limiter.take("k", 3).granted for _ in range(4)] == [True, True, True, False]
    refused = limiter.take("k", 3)
    assert 19 < refused.seconds <= 20
    now[0] = 20.1
    assert limiter.take("k", 3).granted
    assert not limiter.take("k", 3).granted
    assert limiter.take("other", 3).remaining == 2


@given(st.lists(st.floats(0, 10), min_size=1, max_size=80), st.integers(1, 100))
def test_no_minute_ever_sees_more_than_two_buckets(waits: list[float], limit: int) -> None:
    now, limiter, granted = [0.0], RateLimiter(lambda: now[0]), []
    for wait in waits:
        now[0] += wait
        if limiter.take("k", limit).granted:
            granted.append(now[0])
    for start in granted:
        assert sum(start <= at < start + 60 for at in granted) <= 2 * limit
