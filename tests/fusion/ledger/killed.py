"""A process that books one request and is killed with SIGKILL at a given moment.

python -m tests.fusion.ledger.killed URL MOMENT
"""

import os
import signal
import sys

from sqlalchemy import Engine, event

from fusion import Database, Ledger, Quantity, read_prices
from tests.fusion.ledger.conftest import IMAGE, PRICES, opening

MOMENTS = ("reserving", "reserved", "lines", "head", "settled", "late")
USED = (IMAGE, Quantity("tokens", 10))


def die() -> None:
    """As `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(statement: str) -> None:
    """Once the database has done a statement, within the transaction."""

    def done(_connection: object, _cursor: object, said: str, *_: object) -> None:
        if said.startswith(statement):
            die()

    event.listen(Engine, "after_cursor_execute", done)


def main(url: str, moment: str) -> None:
    """Book, until it is time."""
    ledger = Ledger(url, read_prices(PRICES), busy_milliseconds=50)
    if moment == "reserving":
        die_after("UPDATE limner_ledger_head")
    ledger.reserve(opening("r", [Quantity("images", 3)]))
    if moment == "lines":
        die_after("INSERT INTO limner_ledger_lines")
    elif moment == "head":
        die_after("UPDATE limner_ledger_head")
    elif moment == "late":
        holder = Database(url)
        with holder.writing() as connection:
            connection.exec_driver_sql("UPDATE limner_ledger_head SET sequence = sequence")
            ledger.settle("r", USED)
            die()
    if moment != "reserved":
        ledger.settle("r", USED)
    die()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
