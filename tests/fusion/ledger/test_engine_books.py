"""What an engine draws is in its ledger, exactly as the result says."""

from pathlib import Path

import pytest

from fusion import (
    Database,
    Ending,
    Engine,
    FusionRequest,
    Ledger,
    LedgerUnavailable,
    Stage,
    quantities_of,
    read_prices,
)

PRICES = """
name = "test"
currency = "EUR"
[[price]]
item = "denoiser_time"
amount = "2.10"
per = "hour"
[[price]]
item = "images"
amount = "0.001"
"""


def test_a_result_and_its_lines_say_the_same(tiny_bundle: Path, tmp_path: Path) -> None:
    with (
        Ledger(tmp_path / "ledger.db", read_prices(PRICES)) as ledger,
        Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine,
    ):
        result = engine.fuse(FusionRequest(attributes={"age": 30}, steps=3), namespace="ada")
        account = ledger.account(result.task.id)
    assert result.account == account
    assert account.ending is Ending.DONE
    for item, amount in quantities_of(result.usage):
        assert account.quantity(item) == amount
    assert account.quantity("denoiser_evaluations") == 6
    assert account.quantity("connections") == 0, "nothing leaves the machine"
    stages = result.usage.seconds_by_stage
    assert round(result.usage.seconds * 1e9) == sum(
        account.quantity(f"time.{stage}") for stage in stages
    )
    assert account.cost > 1_000_000, "a picture, and the time it took"


def test_a_cancelled_request_is_booked_with_what_it_took(tiny_bundle: Path, tmp_path: Path) -> None:
    with (
        Ledger(tmp_path / "ledger.db", read_prices(PRICES)) as ledger,
        Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine,
    ):
        handle = engine.submit(FusionRequest(steps=500))
        for event in handle.events():
            if event.step >= 2:
                handle.cancel()
        account = ledger.account(handle.task.id)
    assert account.ending is Ending.CANCELLED
    assert account.quantity("denoiser_evaluations") == handle.spent.denoiser_evaluations >= 4
    assert account.quantity(f"time.{Stage.DENOISE}") > 0
    assert account.cost == 0, "this table bills what was delivered"


BY_THE_TOKEN = """
name = "by the token"
currency = "EUR"
bill_unfinished = true
[[price]]
item = "tokens"
amount = "0.001"
[[price]]
item = "positions_computed"
amount = "0.001"
"""


def test_a_cancelled_request_is_booked_with_the_words_it_was_drawn_from(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """Its tokens, positions and projections were not in the books, whoever was to pay for them."""
    wish = FusionRequest(attributes={"age": 30}, steps=500)
    with (
        Ledger(tmp_path / "ledger.db", read_prices(BY_THE_TOKEN)) as ledger,
        Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine,
    ):
        handle = engine.submit(wish)
        for event in handle.events():
            if event.step >= 1:
                handle.cancel()
        account = ledger.account(handle.task.id)
        whole = engine.fuse(wish.model_copy(update={"steps": 1}))
    assert account.ending is Ending.CANCELLED
    assert account.quantity("tokens") == whole.usage.tokens > 0
    assert account.quantity("baseline_tokens") == whole.usage.baseline_tokens
    positions = account.quantity("positions_computed")
    assert positions == whole.usage.positions_computed + whole.usage.positions_reused
    assert account.quantity("projections_computed") > 0
    assert account.cost == (account.quantity("tokens") + positions) * 10**6


def test_a_locked_ledger_delivers_and_books_late(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with (
        Ledger(file, busy_milliseconds=20) as ledger,
        Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine,
    ):
        with Database(f"sqlite:///{file}").writing():
            result = engine.fuse(FusionRequest(steps=1))
        assert any("later" in warning for warning in result.warnings)
        assert ledger.late
        assert ledger.write_late() == 1
        assert ledger.account(result.task.id).quantity("images") == 1
        assert ledger.verify().holds


def test_a_ledger_that_refuses_stops_the_request(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with (
        Ledger(file, on_fault="refuse", busy_milliseconds=20) as ledger,
        Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine,
        Database(f"sqlite:///{file}").writing(),
        pytest.raises(LedgerUnavailable, match="locked"),
    ):
        engine.fuse(FusionRequest(steps=1))


ABSURD = """
name = "by the nanosecond"
currency = "EUR"
[[price]]
item = "denoiser_time"
amount = "9000000000"
"""


def test_what_cannot_be_booked_holds_nothing_of_the_budget(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """A cost beyond what can be written left its request open for as long as the process lived."""
    with (
        Ledger(tmp_path / "ledger.db", read_prices(ABSURD)) as ledger,
        Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine,
    ):
        result = engine.fuse(FusionRequest(steps=1))
        assert any("not in the ledger" in warning for warning in result.warnings)
        assert ledger.account(result.task.id).ending is Ending.RELEASED
        assert ledger.verify().holds


def test_a_budget_knows_the_pace_of_engines_before(tiny_bundle: Path, tmp_path: Path) -> None:
    """A new engine expected no time at all, and a batch of any size fitted a budget."""
    file = tmp_path / "ledger.db"
    with (
        Ledger(file) as ledger,
        Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine,
    ):
        engine.fuse(FusionRequest(steps=2))
    with (
        Ledger(file) as ledger,
        Engine.load(tiny_bundle, device="cpu", ledger=ledger) as engine,
    ):
        expected = dict(engine.opening(FusionRequest(steps=2, count=4), "x").expected)
    assert expected["denoiser_time"] > 0


def test_a_new_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db"):
        assert (tmp_path / "ledger.db").stat().st_mode & 0o077 == 0
