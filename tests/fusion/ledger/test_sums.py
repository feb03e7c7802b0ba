"""Sums by any dimensions, of the requests that were asked for, and single lines alike."""

from datetime import UTC, datetime, timedelta

import pytest

from fusion import DIMENSIONS, Ending, Ledger, LedgerError, Quantity, lines_between, sums_of
from tests.fusion.ledger.conftest import IMAGE, Opened, opening

MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def ledger(opened: Opened) -> Ledger:
    """Two tenants' requests around midnight, one second apart, and one that is open."""
    now = [MIDNIGHT - timedelta(seconds=2)]
    ledger = opened(now=lambda: now[0].timestamp())
    for number in range(5):
        tenant = "ada" if number % 2 else "bob"
        ledger.reserve(opening(f"r{number}", [IMAGE], tenant=tenant, key=f"of-{tenant}"))
        if number < 4:
            ending = Ending.FAILED if number == 1 else Ending.DONE
            used = (Quantity("images", number), Quantity("peak_memory_bytes", 100 + number))
            ledger.settle(f"r{number}", used, ending)
        now[0] += timedelta(seconds=1)
    return ledger


def test_sums_are_by_what_is_asked_for(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        sums = sums_of(connection, ("day", "tenant"))
    assert sums.by == ("tenant", "day"), "in one order, whatever was written"
    images = [
        (one.group.tenant, one.group.day, one.quantity, one.cost, one.requests)
        for one in sums.items
        if one.item == "images"
    ]
    assert images == [
        ("ada", "2026-11-24", 1, 0, 1),
        ("ada", "2026-11-25", 3, 30_000_000, 1),
        ("bob", "2026-11-24", 0, 0, 1),
        ("bob", "2026-11-25", 2, 20_000_000, 1),
    ]
    counts = [(one.group.tenant, one.group.day, one.ending, one.requests) for one in sums.counts]
    assert counts == [
        ("ada", "2026-11-24", "failed", 1),
        ("ada", "2026-11-25", "done", 1),
        ("bob", "2026-11-24", "done", 1),
        ("bob", "2026-11-25", "done", 1),
        ("bob", "2026-11-25", "open", 1),
    ]
    assert [one.reserved for one in sums.counts] == [0, 0, 0, 0, 10_000_000]
    assert {one.currency for one in sums.items} == {"EUR"}


def test_each_dimension_groups_by_what_it_says(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        whole = sums_of(connection, DIMENSIONS)
        line = next(lines_between(connection))
    group = next(one.group for one in whole.items if one.group.request == "r0")
    assert line.group == group
    assert (group.tenant, group.key, group.day) == ("bob", "of-bob", "2026-11-24")
    assert (group.bundle, group.source, group.kind) == ("tiny", "library", "portrait")
    assert (group.template, group.ending, group.request) == ("age hat", "done", "r0")


def test_since_is_in_it_and_until_is_not(ledger: Ledger) -> None:
    second = timedelta(seconds=1)
    with ledger.reading() as connection:
        for since, until, requests in (
            (None, None, 5),
            (MIDNIGHT, None, 3),
            (None, MIDNIGHT, 2),
            (MIDNIGHT, MIDNIGHT + second, 1),
            (MIDNIGHT.astimezone(tz=None), MIDNIGHT + 2 * second, 2),
            (MIDNIGHT + 9 * second, None, 0),
        ):
            sums = sums_of(connection, since=since, until=until)
            assert sum(one.requests for one in sums.counts) == requests
            single = list(lines_between(connection, since, until))
            assert sum(one.quantity for one in single if one.item == "images") == sum(
                one.quantity for one in sums.items if one.item == "images"
            )


def test_a_tenant_or_a_key_is_asked_for_alone(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        ada = sums_of(connection, tenant="ada")
        assert ada == sums_of(connection, key="of-ada")
        assert sum(one.requests for one in ada.counts) == 2
        assert {x.group.request for x in lines_between(connection, tenant="ada")} == {"r1", "r3"}
        assert not sums_of(connection, tenant="eve").items


def test_a_peak_is_the_largest_with_its_corrections(ledger: Ledger) -> None:
    def peak() -> tuple[int, int]:
        with ledger.reading() as connection:
            found = {one.item: one for one in sums_of(connection).items}["peak_memory_bytes"]
        return found.quantity, found.requests

    assert peak() == (103, 4)
    ledger.correct("r3", "peak_memory_bytes", -50, "another process was counted")
    assert peak() == (102, 4)
    ledger.correct("r0", "peak_memory_bytes", 50, "it was this one's")
    assert peak() == (150, 4)


def test_an_item_that_only_a_correction_has_is_counted(ledger: Ledger) -> None:
    ledger.correct("r3", "energy", 7, "the meter was read late")
    with ledger.reading() as connection:
        found = {one.item: one for one in sums_of(connection).items}["energy"]
    assert (found.quantity, found.requests) == (7, 1)


def test_what_cannot_be_asked_for_is_refused(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        with pytest.raises(LedgerError, match=r"no sums by week: give tenant, key, day, "):
            sums_of(connection, ("tenant", "week"))  # type: ignore[arg-type]
        with pytest.raises(LedgerError, match="in no time zone"):
            sums_of(connection, since=datetime(2026, 1, 1))
        with pytest.raises(LedgerError, match="in no time zone"):
            next(lines_between(connection, until=datetime(2026, 1, 1)))
