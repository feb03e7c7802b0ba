"""Prices, budgets and corrections are exact, and what cannot be is refused."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fusion import (
    Budget,
    BudgetExceeded,
    CurrencyMismatch,
    Database,
    Ending,
    LedgerError,
    PriceRejected,
    Quantity,
    QuantityRejected,
    RequestUnknown,
    budget_of,
    nano,
    read_prices,
    set_budget,
    sums_of,
)
from fusion.ledger.money import LARGEST
from tests.fusion.ledger.conftest import IMAGE, PRICES, Opened, booked, opening

DEAR = PRICES.replace('"0.01"', '"9000000000"')  # an image; nine thousand million
CHEAPER = PRICES.replace('"0.01"', '"0.005"').replace('"test"', '"cheaper"')


@pytest.mark.parametrize(
    ("amount", "why"),
    [
        ("1e99999", "too fine or too large"),
        ("1e-99999", "too fine or too large"),
        ("1.0000000000000000000000000000001", "more than nine decimals"),
        ("NaN", "no amount"),
        ("Infinity", "no amount"),
        ("two", "no amount"),
        ("9300000000", "too large"),
    ],
)
def test_an_amount_that_cannot_be_counted_is_refused(amount: str, why: str) -> None:
    with pytest.raises(PriceRejected, match=why):
        nano(amount)


@pytest.mark.parametrize(("amount", "units"), [("2.10", 2_100_000_000), ("0", 0), ("-1", -(10**9))])
def test_an_amount_is_exact(amount: str, units: int) -> None:
    assert nano(amount) == units


def test_a_price_for_what_is_not_counted_names_what_is() -> None:
    with pytest.raises(PriceRejected, match=r"'gpu_hours' is not counted; known are images, "):
        read_prices(PRICES.replace('"tokens"', '"gpu_hours"'))


def test_prices_changed_in_mid_stream_leave_old_lines_and_their_corrections(
    opened: Opened,
) -> None:
    before, after = opened(), opened(read_prices(CHEAPER))
    booked(before, "a")
    before.reserve(opening("reserved before"))
    booked(after, "b")
    assert after.correct("a", "images", 1, "one was forgotten").quantity("images") == 2
    after.settle("reserved before", [IMAGE])
    costs = {name: after.account(name).cost for name in ("a", "b", "reserved before")}
    assert costs == {"a": 20_000_000 + 4286, "b": 5_000_000 + 4286, "reserved before": 10_000_000}
    with after.reading() as connection:
        tables = {one.prices: one.cost for one in sums_of(connection).items if one.item == "images"}
    assert tables == {
        before.prices.sha256.hex(): 30_000_000, after.prices.sha256.hex(): 5_000_000
    }  # fmt: skip
    assert after.verify().holds


def test_what_failed_is_written_down_and_free_unless_the_table_bills_it(opened: Opened) -> None:
    billed = read_prices(PRICES.replace("[[price]]", "bill_unfinished = true\n[[price]]", 1))
    for ledger, name, cost in ((opened(), "a", 0), (opened(billed), "b", 10_000_000)):
        ledger.reserve(opening(name))
        account = ledger.settle(name, [IMAGE], Ending.CANCELLED)
        assert account is not None
        assert (account.quantity("images"), account.cost) == (1, cost)


def test_a_correction_never_goes_below_zero(opened: Opened) -> None:
    ledger = opened()
    booked(ledger, "a")
    assert ledger.correct("a", "tokens", -10, "never read").quantity("tokens") == 0
    for item, difference in (("tokens", -1), ("energy", -1), ("images", 0), ("images", LARGEST)):
        with pytest.raises(QuantityRejected, match="is no correction of it"):
            ledger.correct("a", item, difference, "why not")
    assert ledger.account("a").cost == 10_000_000
    assert ledger.verify().holds


def test_a_correction_needs_a_reason_a_known_item_and_a_settled_request(opened: Opened) -> None:
    ledger = opened()
    booked(ledger, "a")
    ledger.reserve(opening("open"))
    with pytest.raises(LedgerError, match="needs a reason"):
        ledger.correct("a", "images", 1, " ")
    with pytest.raises(QuantityRejected, match="not counted"):
        ledger.correct("a", "settled", 1, "more")
    with pytest.raises(LedgerError, match="not settled yet"):
        ledger.correct("open", "images", 1, "more")
    with pytest.raises(RequestUnknown):
        ledger.correct("nobody", "images", 1, "more")


def test_what_would_cost_more_than_can_be_written_is_refused_whole(opened: Opened) -> None:
    ledger = opened(read_prices(DEAR))
    with pytest.raises(QuantityRejected, match="may cost more"):
        ledger.reserve(opening("a", [Quantity("images", 2)]))
    ledger.reserve(opening("a"))
    with pytest.raises(QuantityRejected, match="would cost more"):
        ledger.settle("a", [Quantity("images", 2)])
    ledger.settle("a", [IMAGE])
    with pytest.raises(QuantityRejected, match="key k1 would come to more"):
        ledger.reserve(opening("b", [IMAGE]))
    assert ledger.verify().lines == 3


def test_sums_larger_than_a_databases_integers_are_exact(opened: Opened) -> None:
    ledger = opened()
    for name in ("a", "b", "c"):
        ledger.reserve(opening(name))
        ledger.settle(name, [Quantity("bytes_sent", LARGEST), Quantity("steps", LARGEST - 1)])
    ledger.correct("c", "bytes_sent", -1, "counted again")
    with ledger.reading() as connection:
        found = {one.item: one.quantity for one in sums_of(connection).items}
    assert found == {"bytes_sent": 3 * LARGEST - 1, "steps": LARGEST - 1}


def budget(url: str, amount: int | None, currency: str = "EUR", period: str = "ever") -> None:
    database = Database(url)
    try:
        with database.writing() as connection:
            set_budget(connection, "k1", amount, currency, period)  # type: ignore[arg-type]
    finally:
        database.close()


def test_a_budget_holds_what_is_reserved_and_spent(opened: Opened, database_url: str) -> None:
    ledger = opened()
    budget(database_url, 25_000_000)
    ledger.reserve(opening("a", [IMAGE]))
    ledger.reserve(opening("b", [IMAGE]))
    with pytest.raises(BudgetExceeded, match=r"budget of 0\.025 EUR in all has 0\.005 left"):
        ledger.reserve(opening("c", [IMAGE]))
    ledger.settle("a", (), Ending.FAILED)
    ledger.reserve(opening("c", [IMAGE]))
    budget(database_url, None)
    ledger.reserve(opening("d", [IMAGE]))


def test_two_at_once_do_not_both_get_the_last_of_a_budget(
    opened: Opened, database_url: str
) -> None:
    ledger = opened(busy_milliseconds=20_000)
    budget(database_url, 30_000_000)

    def reserve(name: str) -> bool:
        try:
            ledger.reserve(opening(name, [IMAGE]))
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(reserve, map(str, range(12)))) == 3
    with ledger.reading() as connection:
        stands = budget_of(connection, "k1")
    assert stands == Budget("k1", 30_000_000, "EUR", "ever", 0, 30_000_000)


def test_a_budget_in_another_currency_than_the_prices_says_so(
    opened: Opened, database_url: str
) -> None:
    ledger = opened()
    budget(database_url, 10**9, "USD")
    with pytest.raises(CurrencyMismatch, match="budget is in USD, prices are in EUR"):
        ledger.reserve(opening("a"))
    assert ledger.verify().lines == 0


def test_a_months_budget_begins_anew_with_the_month_in_utc(
    opened: Opened, database_url: str
) -> None:
    now = [1_764_547_199.0]  # 2025-11-30 23:59:59
    ledger = opened(now=lambda: now[0])
    budget(database_url, 10_000_000, period="month")
    booked(ledger, "a")
    with pytest.raises(BudgetExceeded, match="this month"):
        ledger.reserve(opening("b", [IMAGE]))
    now[0] += 1
    ledger.reserve(opening("b", [IMAGE]))
    now[0] -= 1
    ledger.settle("b", [IMAGE])
    assert ledger.verify().holds


def test_budgets_that_are_none_are_refused(opened: Opened, database_url: str) -> None:
    opened()
    for amount, currency, period in (
        (-1, "EUR", "ever"),
        (LARGEST + 1, "EUR", "ever"),
        (1, "euro", "ever"),
        (1, "EUR", "week"),
    ):
        with pytest.raises(LedgerError):
            budget(database_url, amount, currency, period)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda amount: budget(database_url, amount), range(8)))
