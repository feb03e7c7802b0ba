"""A process that books random requests and prints what it was told of each, as JSON lines.

python -m tests.fusion.ledger.worker URL NAME SEED COUNT BUSY_MILLISECONDS
"""

import json
import random
import sys

from fusion import (
    ITEMS,
    AlreadyReserved,
    Ending,
    Ledger,
    LedgerUnavailable,
    Quantity,
    QuantityRejected,
    read_prices,
)
from tests.fusion.ledger.conftest import PRICES, opening

BILLED_TOO = PRICES.replace("[[price]]", "bill_unfinished = true\n[[price]]", 1)
OTHER = PRICES.replace('"EUR"', '"USD"').replace('"0.01"', '"0.000001237"')
TABLES = tuple(read_prices(text) for text in (PRICES, BILLED_TOO, OTHER))


def main(url: str, name: str, seed: int, count: int, busy: int) -> None:
    """Book so many requests; every fifth is tried by all processes, and one gets it."""
    dice = random.Random(seed)
    ledgers = [Ledger(url, table, busy_milliseconds=busy) for table in TABLES]
    for number in range(count):
        shared = number % 5 == 0 and busy > 1000
        request = f"shared-{number}" if shared else f"{name}-{number}"
        said = _booked(dice, dice.choice(ledgers), request)
        if said is not None:
            print(json.dumps(said))
    for ledger in ledgers:
        ledger.close()


def _booked(dice: random.Random, ledger: Ledger, request: str) -> dict[str, object] | None:
    """One request from its reservation to its end, with all that goes wrong."""
    expected = [Quantity("images", dice.randrange(5))]
    said = {"tenant": f"t{dice.randrange(3)}", "key": f"k{dice.randrange(4)}"}
    try:
        ledger.reserve(opening(request, expected, **said))
    except AlreadyReserved:
        return None
    if dice.random() < 0.1:
        return {"request": request, "ending": "open", "quantities": {}, "told": None}
    ending = dice.choice([Ending.DONE] * 6 + list(Ending))
    used = _quantities(dice)
    told = ledger.settle(request, used, ending)
    for _ in range(dice.randrange(3) if told else 0):  # its answer was lost: settled is settled
        again = ledger.settle(request, _quantities(dice), dice.choice(list(Ending)))
        assert again in (told, None)
    amounts = dict(used)
    if told is not None and dice.random() < 0.3:
        for _ in range(dice.randrange(1, 4)):
            item = dice.choice(list(ITEMS))
            difference = dice.randrange(-amounts.get(item, 0), 10**6)
            try:
                told = ledger.correct(request, item, difference, "counted again")
                amounts[item] = amounts.get(item, 0) + difference
            except LedgerUnavailable:
                continue
            except QuantityRejected:
                assert difference == 0
    booked = told.lines if told else ()
    lines = [[one.item, one.correction, one.quantity, one.cost] for one in booked]
    return {
        "request": request,
        "ending": ending.value,
        "quantities": amounts,
        "told": told and {"prices": told.prices, "cost": told.cost, "lines": lines},
    }


def _quantities(dice: random.Random) -> tuple[Quantity, ...]:
    """Some of all items, some of them as large as can be."""
    chosen = dice.sample(list(ITEMS), dice.randrange(len(ITEMS)))
    return tuple(Quantity(item, dice.randrange(10 ** dice.randrange(1, 10))) for item in chosen)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *(int(one) for one in sys.argv[3:]))
