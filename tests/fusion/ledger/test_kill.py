"""A process may die at any moment: a request is settled or released, never both, charged once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fusion import Database, Ending, Ledger, RequestUnknown, budget_of, set_budget, sums_of
from tests.fusion.ledger.conftest import IMAGE, Opened, opening
from tests.fusion.ledger.killed import MOMENTS

ROOT = Path(__file__).resolve().parents[3]
SETTLED = {"settled", "late"}  # where all that was used was written before


def killed(url: str, moment: str) -> None:
    """A child that was killed at that moment."""
    command = [sys.executable, "-m", "tests.fusion.ledger.killed", url, moment]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("moment", MOMENTS)
def test_who_is_killed_leaves_a_request_settled_or_released(
    moment: str, database_url: str, opened: Opened
) -> None:
    killed(database_url, moment)
    ledger = opened()
    if moment == "reserving":
        with pytest.raises(RequestUnknown):
            ledger.account("r")
        assert ledger.verify().lines == 0
        return
    account = ledger.account("r")
    done = moment in SETTLED
    assert account.ending is (Ending.DONE if done else Ending.RELEASED)
    assert account.quantity("images") == (1 if done else 0)
    assert [line.item for line in account.lines].count("settled") == 1
    assert_nothing_is_held(ledger, database_url, account.cost)
    assert opened().account("r") == account, "a further opening changes nothing"
    assert not ledger.late


def assert_nothing_is_held(ledger: Ledger, url: str, cost: int) -> None:
    """The chain holds, the sums are the account's, the reservation is free again."""
    assert ledger.verify().holds
    with ledger.reading() as connection:
        assert sum(one.cost for one in sums_of(connection).items) == cost
    database = Database(url)
    with database.writing() as connection:
        set_budget(connection, "k1", 10**9, "EUR", "ever")
        budget = budget_of(connection, "k1")
    database.close()
    assert budget is not None
    assert (budget.spent, budget.reserved) == (cost, 0)


def test_what_a_living_process_holds_is_not_released(opened: Opened) -> None:
    first = opened()
    first.reserve(opening("r"))
    assert opened().recover() == 0
    account = first.settle("r", [IMAGE])
    assert account is not None
    assert account.ending is Ending.DONE
