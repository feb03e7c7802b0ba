"""What compression and caches saved, against what the ledger itself says would have been done.

Counts are exact: they are lines of the ledger. Seconds and money are estimates: what was reused
would have taken as long, each, as what was computed did on average in the same requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eval.costs.money import seconds_text
from eval.costs.tally import Tally
from fusion import Ending, PriceTable, Stage, priced

_DONE: Final = str(Ending.DONE)


@dataclass(frozen=True)
class Saving:
    """saved: of the counterfactual's used + saved. nanoseconds: None where nothing tells them.

    formula: how the seconds were reckoned, with the numbers put in; money: nano-units by currency.
    """

    kind: str
    used: int
    saved: int
    nanoseconds: int | None
    formula: str
    money: dict[str, int]

    @property
    def share(self) -> float:
        """Of what it would have been."""
        return self.saved / (self.used + self.saved) if self.used + self.saved else 0.0


@dataclass(frozen=True)
class _Kind:
    name: str
    computed: str
    reused: str
    stage: Stage | None  # whose time the estimate is made of


_KINDS: Final = (
    _Kind("positions", "positions_computed", "positions_reused", Stage.CONDITION),
    # In the same stage: its time is in the line above, and counts once.
    _Kind("projections", "projections_computed", "projections_reused", None),
    _Kind("faces", "faces_analysed", "faces_reused", Stage.ANALYSE),
)


def savings_of(tally: Tally, tables: Mapping[str, PriceTable]) -> tuple[Saving, ...]:
    """Of tokens, positions, projections and faces, in requests that were delivered."""
    return (_of_tokens(tally, tables), *(_of_reuse(kind, tally, tables) for kind in _KINDS))


def _of_tokens(tally: Tally, tables: Mapping[str, PriceTable]) -> Saving:
    used = tally.quantity("tokens", _DONE)
    saved = tally.quantity("baseline_tokens", _DONE) - used
    money = dict.fromkeys(tally.cost(), 0)
    for sha in tally.tables:
        less = tally.quantity("baseline_tokens", _DONE, table=sha)
        less -= tally.quantity("tokens", _DONE, table=sha)
        money[tables[sha].currency] += tables[sha].cost("tokens", less)
    return Saving("tokens", used, saved, None, f"{used + saved:,} − {used:,}", money)


def _of_reuse(kind: _Kind, tally: Tally, tables: Mapping[str, PriceTable]) -> Saving:
    computed, reused = tally.quantity(kind.computed, _DONE), tally.quantity(kind.reused, _DONE)
    passed = tally.quantity(f"time.{kind.stage}", _DONE) if kind.stage else 0
    known = kind.stage is not None and computed > 0
    time = priced(reused, passed, computed) if known else None
    formula = f"{seconds_text(passed)} ÷ {computed:,} × {reused:,}" if known else ""
    money = dict.fromkeys(tally.cost(), 0)
    for sha in tally.tables:
        table, amount = tables[sha], tally.quantity(kind.reused, _DONE, table=sha)
        money[table.currency] += table.cost(kind.computed, amount) - table.cost(kind.reused, amount)
        if known:
            money[table.currency] += table.cost(
                f"time.{kind.stage}", priced(amount, passed, computed)
            )
    return Saving(kind.name, computed, reused, time, formula, money)
