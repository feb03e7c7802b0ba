"""What `limner costs` says on the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cli.console import say, table

if TYPE_CHECKING:
    from eval import CostReport, CostRepriced, CostSaving, CostSpeech, CostStage

_MIB = 2**20


def tell_costs(report: "CostReport", speech: "CostSpeech") -> None:
    """The whole report, in as many tables as there is something to say."""
    teller = _Teller(report, speech)
    teller.totals()
    teller.groups()
    teller.savings()
    if not report.question.by_stage:
        teller.stages()
    teller.failures()
    teller.prices()
    teller.other_prices()
    teller.elsewhere()


class _Teller:
    """A report in a language. Money columns: those currencies in which something costs."""

    def __init__(self, report: "CostReport", speech: "CostSpeech") -> None:
        from fusion import NO_CURRENCY

        self._report, self._speech = report, speech
        self._costs = report.total.cost()
        self._billed = [one for one in report.currencies if one != NO_CURRENCY]

    def totals(self) -> None:
        """A few lines: what, when, how much."""
        from eval import amount_column, exact_text, time_text

        report, speech, total = self._report, self._speech, self._report.total
        say(f"  {report.ledger}, {self._period()}", first=speech("page.title"))
        endings = speech("page.comma").join(
            f"{speech(f'ending.{name}')} {total.ended(name):,}"
            for name in ("done", "failed", "cancelled", "expired", "released", "open")
            if total.ended(name)
        )
        pictures = total.quantity("images", "done")
        say(f"{speech('total.requests')} {total.ended():,}: {endings}")
        say(
            self._listed(
                ("pictures", pictures),
                ("tokens", total.quantity("tokens")),
                ("positions", total.quantity("positions_computed")),
                ("evaluations", total.quantity("denoiser_evaluations")),
            )
        )
        say(
            self._listed(
                ("device", time_text(total.quantity("denoiser_time"))),
                ("time", time_text(sum(one.nanoseconds for one in report.stages))),
            )
        )
        each = total.picture_cost()
        for currency in self._billed:
            said = f"{currency} {exact_text(self._costs[currency])}"
            if currency in each:
                one = amount_column([each[currency]])[0]
                said += f", {speech('total.picture_cost')} {one}"
            say(said)
        if not self._billed:
            say(speech("page.no_currency"))

    def groups(self) -> None:
        """A row for each group; by stage, a row for each stage of it."""
        by = self._report.question.by
        if not by:
            return
        if self._report.question.by_stage:
            self._by_stage()
            return
        from eval import time_text

        speech = self._speech
        columns = [
            *(speech(f"by.{name}") for name in by), speech("total.requests"),
            speech("total.pictures"), speech("column.missed"), speech("column.tokens_less"),
            speech("column.device"), *self._cost_columns("column.cost"),
        ]  # fmt: skip
        amounts = self._amounts([row.tally.cost() for row in self._report.groups])
        rows = [
            [
                *(speech.value(value) for value in row.tally.values),
                f"{row.tally.ended():,}",
                f"{row.tally.quantity('images', 'done'):,}",
                f"{row.tally.ended() - row.tally.ended('done', 'open'):,}",
                f"{100 * row.savings[0].share:.0f} %",
                time_text(row.tally.quantity("denoiser_time")),
                *costs,
            ]
            for row, costs in zip(self._report.groups, amounts, strict=True)
        ]
        self._table(columns, rows, "page.groups", names=len(by), by=self._by_words())

    def savings(self) -> None:
        """What was not computed, and what it would have taken."""
        speech, report = self._speech, self._report
        columns = [
            speech("column.what"), speech("column.used"), speech("column.saved"),
            speech("column.share"), speech("column.time_saved"), speech("page.formula"),
            *self._cost_columns("column.money_saved"),
        ]  # fmt: skip
        amounts = self._amounts([one.money for one in report.savings])
        rows = [
            [
                speech(f"saving.{one.kind}"), f"{one.used:,}", f"{one.saved:,}",
                f"{100 * one.share:.0f} %", *time_saved(one, speech), *money,
            ]
            for one, money in zip(report.savings, amounts, strict=True)
        ]  # fmt: skip
        self._table(columns, rows, "page.saved", left={speech("page.formula")})
        say(speech("page.saved_note"))

    def stages(self) -> None:
        """Time, processors and money by stage; memory and network of all."""
        speech, report = self._speech, self._report
        columns = [
            speech("by.stage"), speech("column.time"), speech("column.share"), speech("column.cpu"),
            *self._cost_columns("column.cost"),
        ]  # fmt: skip
        rows = self._stage_rows(report.stages)
        self._table(columns, rows, "page.stages")
        say(speech("page.stages_note", cores=report.cores))
        say(hardware(report, speech))

    def failures(self) -> None:
        """Requests without a picture, and drawings that were rejected."""
        from eval import time_text

        speech, report = self._speech, self._report
        if report.unfinished:
            columns = [
                speech("column.ending"), speech("total.requests"), speech("total.evaluations"),
                speech("total.device"), *self._cost_columns("column.cost"),
                *self._cost_columns("column.listed"),
            ]  # fmt: skip
            billed = self._amounts([one.billed for one in report.unfinished])
            listed = self._amounts([one.listed for one in report.unfinished])
            rows = [
                [
                    speech(f"ending.{one.ending}"), f"{one.requests:,}", f"{one.evaluations:,}",
                    time_text(one.device), *billed[at], *listed[at],
                ]
                for at, one in enumerate(report.unfinished)
            ]  # fmt: skip
            self._table(columns, rows, "page.failed")
        if report.redrawn.drawings:
            say(redrawn(report, speech))

    def prices(self) -> None:
        """Which price tables were in force when."""
        speech = self._speech
        columns = [
            speech("column.name"), speech("column.currency"), speech("column.first"),
            speech("column.last"), speech("total.requests"), speech("total.failures"),
            speech("column.sha"),
        ]  # fmt: skip
        rows = [
            [
                one.name, one.currency, one.first, one.last, f"{one.requests:,}",
                speech("page.billed" if one.bill_unfinished else "page.free"),
                one.sha256[:12],
            ]
            for one in self._report.tables
        ]  # fmt: skip
        self._table(columns, rows, "page.tables", left={*columns} - {speech("total.requests")})

    def other_prices(self) -> None:
        """The same quantities by another table of ours."""
        other = self._report.repriced
        if other is None:
            return
        from eval import amount_column, exact_text, price_text

        speech, currency = self._speech, other.table.currency
        own = [currency] if currency in self._billed else []
        now = self._amounts([one.now for one in other.items], own)
        by_other = amount_column([one.cost for one in other.items])
        columns = [
            speech("column.item"), speech("column.quantity"), speech("column.price"),
            speech("column.by_other"), *self._cost_columns("column.cost", own),
        ]  # fmt: skip
        rows = [
            [
                one.item, f"{one.quantity:,}",
                price_text(one.item, one.price, one.per),
                by_other[at], *now[at],
            ]
            for at, one in enumerate(other.items)
        ]  # fmt: skip
        self._table(columns, rows, "page.repriced", name=other.table.name)
        say(f"{exact_text(other.cost)} {currency}", first=f"{other.table.name}  ")
        say(repriced_of(other, speech))
        say(speech("page.repriced_note"))

    def elsewhere(self) -> None:
        """What other services would ask for."""
        from eval import amount_column

        speech, report = self._speech, self._report
        if not report.bills or not report.total.quantity("images", "done"):
            return
        costs = amount_column([bill.cost for bill in report.bills])
        columns = [speech("column.service"), speech("column.noted"), speech("total.cost"), ""]
        rows = [
            [
                bill.service.name, bill.service.noted, cost, bill.service.currency,
            ]
            for bill, cost in zip(report.bills, costs, strict=True)
        ]  # fmt: skip
        self._table(columns, rows, "page.elsewhere", left={"", columns[1]})
        pictures = f"{report.total.quantity('images', 'done'):,}"
        say(speech("page.elsewhere_note", pictures=pictures))

    def _by_stage(self) -> None:
        report, speech = self._report, self._speech
        named = [name for name in report.question.by if name != "stage"]
        columns = [
            *(speech(f"by.{name}") for name in named), speech("by.stage"), speech("column.time"),
            speech("column.share"), speech("column.cpu"), *self._cost_columns("column.cost"),
        ]  # fmt: skip
        all_rows = iter(self._stage_rows([one for row in report.groups for one in row.stages]))
        rows = [
            [*(speech.value(value) for value in row.tally.values), *next(all_rows)]
            for row in report.groups
            for _ in row.stages
        ]
        self._table(columns, rows, "page.groups", names=len(named) + 1, by=self._by_words())
        say(speech("page.stages_note", cores=report.cores))
        say(hardware(report, speech))

    def _stage_rows(self, stages: "Sequence[CostStage]") -> list[list[object]]:
        from eval import time_text

        return [
            [
                self._speech.stage(one.stage),
                time_text(one.nanoseconds) if one.nanoseconds else "",
                f"{100 * one.share:.1f} %" if one.nanoseconds else "",
                processors(one, self._report.cores, self._speech),
                *costs,
            ]
            for one, costs in zip(stages, self._amounts([one.cost for one in stages]), strict=True)
        ]

    def _table(
        self,
        columns: list[str],
        rows: Sequence[Sequence[object]],
        title: str,
        *,
        names: int = 1,
        left: "set[str] | frozenset[str]" = frozenset(),
        **filled: str,
    ) -> None:
        """All columns but the first ones and those of `left` stand to the right."""
        right = {name for name in columns[names:] if name not in left}
        table(columns, rows, title=self._speech(title, **filled), right=right)

    def _by_words(self) -> str:
        comma = self._speech("page.comma")
        return comma.join(self._speech(f"by.{name}") for name in self._report.question.by)

    def _cost_columns(self, key: str, of: Sequence[str] | None = None) -> list[str]:
        return [self._speech(key, currency=one) for one in (self._billed if of is None else of)]

    def _amounts(
        self, rows: Sequence[Mapping[str, int]], of: Sequence[str] | None = None
    ) -> list[list[str]]:
        """For each row its cells; what stands below each other has as many decimals."""
        from eval import amount_column

        named = self._billed if of is None else of
        columns = [amount_column([row.get(one, 0) for row in rows]) for one in named]
        return [[column[at] for column in columns] for at in range(len(rows))]

    def _listed(self, *facts: tuple[str, int | str]) -> str:
        said = (
            f"{self._speech(f'total.{key}')} {value if isinstance(value, str) else f'{value:,}'}"
            for key, value in facts
        )
        return self._speech("page.comma").join(said)

    def _period(self) -> str:
        asked, speech = self._report.question, self._speech
        said = []
        if asked.tenant is not None:
            said.append(f"{speech('page.of_tenant')} {asked.tenant}")
        if asked.since is not None:
            said.append(f"{speech('page.from')} {asked.since:%Y-%m-%d %H:%M}".replace(" 00:00", ""))
        if asked.until is not None:
            until = f"{asked.until:%Y-%m-%d %H:%M}".replace(" 00:00", "")
            said.append(f"{speech('page.until')} {until} {speech('page.excluded')}")
        return " ".join(said) or speech("page.whole")


def time_saved(one: "CostSaving", speech: "CostSpeech") -> tuple[str, str]:
    """A saving's time, and how it was reckoned."""
    from eval import time_text

    formula = one.formula
    if one.kind == "projections":
        return "", speech("page.in_line_above")
    if one.nanoseconds is None:
        return "", formula or speech("page.no_estimate")
    return time_text(one.nanoseconds), formula


def processors(one: "CostStage", cores: int, speech: "CostSpeech") -> str:
    """What they worked while a stage went on, and which share of theirs that is, if it is one."""
    from eval import time_text

    if not one.nanoseconds:
        return ""
    share = one.cpu_share(cores)
    said = speech("page.shared") if share is None else f"{100 * share:.0f} %"
    return f"{time_text(one.cpu)}, {said}"


def repriced_of(other: "CostRepriced", speech: "CostSpeech") -> str:
    """Which requests another table is compared over, and how many are not."""
    return speech(
        "page.repriced_free" if other.free_alone else "page.repriced_of",
        requests=f"{other.requests:,}", left_out=f"{other.left_out:,}",
        currency=other.table.currency,
    )  # fmt: skip


def hardware(report: "CostReport", speech: "CostSpeech") -> str:
    """Peak memory, the network and energy, in one line."""
    total = report.total
    said = [f"{speech('total.memory')} {total.quantity('peak_memory_bytes') / _MIB:,.0f} MiB"]
    if device := total.quantity("peak_device_bytes"):
        said.append(f"{speech('total.device_memory')} {device / _MIB:,.0f} MiB")
    opened = total.quantity("connections")
    if not total.measured("connections"):  # nothing was delivered: that none were opened is unknown
        said.append(f"{speech('total.connections')} {speech('page.not_measured')}")
    elif opened:
        said.append(f"{speech('total.connections')} {opened:,}")
    else:
        said.append(f"{speech('total.connections')} 0 ({speech('page.nothing_leaves')})")
    for item, key in (("bytes_received", "received"), ("bytes_sent", "sent")):
        if total.measured(item):
            said.append(f"{speech(f'total.{key}')} {total.quantity(item):,}")
    if total.measured("energy"):
        said.append(f"{speech('total.energy')} {total.quantity('energy') / 3.6e6:,.3f} Wh")
    else:
        said.append(f"{speech('total.energy')} {speech('page.not_measured')}")
    return speech("page.comma").join(said)


def redrawn(report: "CostReport", speech: "CostSpeech") -> str:
    """How many drawings were rejected, and what they took."""
    from eval import time_text

    again = report.redrawn
    return speech(
        "page.redrawn", drawings=f"{again.drawings:,}", of=f"{again.of:,}",
        device=time_text(again.device),
    )  # fmt: skip
