"""Whatever happens to requests, their answers, the ledger and its sums say the same to the unit."""

import json
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from fusion import (
    ITEMS,
    Database,
    Engine,
    FusionRequest,
    Ledger,
    budget_of,
    lines_between,
    quantities_of,
    quantities_spent,
    set_budget,
    sums_of,
)
from tests.fusion.ledger.conftest import Opened
from tests.fusion.ledger.worker import TABLES

ROOT = Path(__file__).resolve().parents[3]
BY_SHA = {table.sha256.hex(): table for table in TABLES}
EACH = 300  # requests of each of two processes


def run_two(
    url: str, busy_milliseconds: int, meanwhile: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Two processes that book into one ledger at once; what each was told."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.fusion.ledger.worker", url, name, str(seed), str(EACH),
             str(busy_milliseconds)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for seed, name in enumerate(("ada", "bob"))
    ]  # fmt: skip
    meanwhile()
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [json.loads(line) for output in outputs for line in output.splitlines()]


def test_two_processes_with_failures_retries_and_corrections_balance(
    database_url: str, opened: Opened
) -> None:
    told = run_two(database_url, busy_milliseconds=60_000)
    ledger = opened()
    assert len(told) == len({one["request"] for one in told}) == 2 * EACH - EACH // 5
    assert_balanced(database_url, ledger, told)


def test_late_entries_of_two_processes_balance(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    Ledger(url).close()
    database, late = Database(url), tmp_path / "ledger.db.late"
    with ExitStack() as locked:
        locked.enter_context(database.writing())

        def until_some_are_late() -> None:  # however fast or slow the machine is
            end = time.monotonic() + 60
            while not any(late.glob("*.json")) and time.monotonic() < end:
                time.sleep(0.005)
            locked.close()

        told = run_two(url, 0, until_some_are_late)
    database.close()
    with Ledger(url) as ledger:
        assert any(one["told"] is None and one["quantities"] for one in told), "some were late"
        assert not ledger.late
        assert_balanced(url, ledger, told)


def assert_balanced(url: str, ledger: Ledger, told: list[dict[str, Any]]) -> None:
    """Answers, accounts, sums, single lines, totals and the chain agree."""
    assert ledger.verify().holds
    with ledger.reading() as connection:
        sums = sums_of(connection, ("request", "ending"))
        single = list(lines_between(connection))
        whole = sums_of(connection)
        by_key = sums_of(connection, ("key", "day", "template"))
    summed = {(one.group.request, one.item): one for one in sums.items}
    endings = {one.group.request: one.ending for one in sums.counts}
    quantities: Counter[tuple[str, str]] = Counter()
    costs: Counter[tuple[str, str]] = Counter()
    keys = {line.group.request: line.group.key for line in single}
    for line in single:
        quantities[line.group.request, line.item] += line.quantity
        costs[line.group.request, line.item] += line.cost
    expected: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    spent: Counter[tuple[str, str]] = Counter()
    for one in told:
        request, amounts = one["request"], one["quantities"]
        if request not in endings:  # it was to be late, and its process forgot it
            assert one["ending"] == "open"
            continue
        account = ledger.account(request)
        ending = "released" if one["ending"] == "open" else one["ending"]
        assert account.ending == endings[request] == ending
        if one["told"]:
            lines = [[x.item, x.correction, x.quantity, x.cost] for x in account.lines]
            assert one["told"] == {"prices": account.prices, "cost": account.cost, "lines": lines}
        assert {x.item for x in account.lines} == {*amounts, "reserved", "settled"}
        table = BY_SHA[account.prices]
        for item, amount in amounts.items():
            bills = ending == "done" or table.bill_unfinished
            cost = rounded(amount, *table.price(item)) if bills else 0
            mine = summed[request, item]
            assert account.quantity(item) == mine.quantity == quantities[request, item] == amount
            assert cost == mine.cost == costs[request, item]
            assert cost == sum(line.cost for line in account.lines if line.item == item)
            assert mine.group.ending == ending
            expected[account.prices, item].append((amount, cost))
        if amounts:
            spent[keys[request], account.currency] += account.cost
    assert len(summed) == sum(len(one) for one in expected.values()), "and nothing else is there"
    for sums in (whole, by_key):
        found: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for one in sums.items:
            found[one.prices, one.item].append(one)
        assert found.keys() == expected.keys()
        for place, parts in found.items():
            add = max if ITEMS[place[1]].peak else sum
            assert add(one.quantity for one in parts) == add(one[0] for one in expected[place])
            assert sum(one.cost for one in parts) == sum(one[1] for one in expected[place])
            assert sum(one.requests for one in parts) == len(expected[place])
        assert sum(one.requests for one in sums.counts) == len(endings)
    assert_totals(url, spent)


def assert_totals(url: str, spent: Counter[tuple[str, str]]) -> None:
    """Budgets look at what was spent, and nothing is held any more."""
    database = Database(url)
    for (key, currency), amount in spent.items():
        with database.writing() as connection:
            set_budget(connection, key, 10**15, currency, "ever")
        with database.reading() as connection:
            budget = budget_of(connection, key)
        assert budget is not None
        assert (budget.spent, budget.reserved) == (amount, 0)
    database.close()


def rounded(quantity: int, price: int, per: int) -> int:
    """Half away from zero, reckoned otherwise than the ledger does."""
    return int(Decimal(quantity * price * 10 // per).scaleb(-1).quantize(0, ROUND_HALF_UP))


def test_what_an_engine_draws_and_what_it_does_not_balance(
    tiny_bundle: Path, opened: Opened
) -> None:
    """What results say, and what was spent on what was cancelled, is all that is booked."""
    dice, ledger = random.Random(3), opened()
    told: dict[str, dict[str, int]] = {}
    with Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine:
        for number in range(12):
            cancelled = number % 3 == 2
            handle = engine.submit(
                FusionRequest(
                    steps=400 if cancelled else dice.randrange(1, 4),
                    count=dice.randrange(1, 3),
                    attributes={"age": 40} if number % 2 else {},
                ),
                namespace=f"tenant {number % 2}",
            )
            for event in handle.events():
                if cancelled and event.step == 2:
                    handle.cancel()
            if cancelled:
                told[handle.task.id] = dict(quantities_spent(handle.spent))
            else:
                result = handle.result()
                told[handle.task.id] = dict(quantities_of(result.usage))
                assert result.account == ledger.account(handle.task.id)
    with ledger.reading() as connection:
        sums = sums_of(connection, ("request",))
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for one in sums.items:
        found[one.group.request][one.item] = one.quantity
    assert found == told
    assert Counter(one.ending for one in sums.counts) == {"done": 8, "cancelled": 4}
    assert ledger.verify().holds
