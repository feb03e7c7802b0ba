"""The page: what it cost first, then when, for whom, what was saved, and how it is reckoned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from eval.costs.money import NANO, column, digits_for, exact_text, price_text, rounded, seconds_text
from eval.costs.page.days import OTHERS, Calendar, calendar_of
from eval.costs.report import CostReport
from eval.costs.savings import Saving
from eval.costs.tally import ENDINGS, FREE
from eval.costs.words import WORDS_FILE, Speech, speech_in
from eval.report import for_script, read_words, render_page
from fusion import ITEMS

MOST_GROUPS: Final = 500  # rows that a page has of them: CSV has all
_HERE: Final = Path(__file__).parent
_MIB: Final = 2**20
_DayRow = tuple[str, tuple[int, ...], int, Mapping[str, int]]


def render_costs(report: CostReport, language: str | None = None) -> str:
    """One HTML page. language: that it opens in; None is the reader's own.

    Raises QuestionRejected for a language that is not spoken.
    """
    if language is not None:
        speech_in(language)
    billed = [one for one in report.currencies if one != FREE]
    costs = report.total.cost()
    each = report.total.picture_cost()
    words = _filled(report, billed)
    calendar = calendar_of(report)
    day_rows = _day_rows(calendar)
    digits = _digits(report, day_rows)

    def money(amount: int, currency: str, place: str) -> str:
        return rounded(amount, digits[place].get(currency, 2))

    data = for_script(
        {
            "words": words, "language": language, "steps": calendar.steps,
            "parts": [None if one == OTHERS else one for one in calendar.parts],
            "pictures": calendar.pictures,
            "costs": {
                currency: [[amount / NANO for amount in row] for row in rows]
                for currency, rows in calendar.costs.items()
            },
        }
    )  # fmt: skip
    values: dict[str, object] = {
        "report": report, "ledger": _short(report.ledger),
        "words": words["zh" if language == "zh" else "en"],
        "shown_language": "zh-CN" if language == "zh" else "en", "billed": billed,
        "costs": costs, "calendar": calendar, "day_rows": day_rows, "others": OTHERS,
        "groups": report.groups[:MOST_GROUPS], "left_out": len(report.groups) > MOST_GROUPS,
        "named": [one for one in report.question.by if one != "stage"],
        "money": money, "exact": exact_text, "price_text": price_text,
        "time": seconds_text, "endings": ENDINGS,
        "largest": {one: _largest(report, one) for one in billed},
        "quantities": [(item, report.total.quantity(item.name)) for item in ITEMS.values()],
        "memory": report.total.quantity("peak_memory_bytes") / _MIB,
        "device_memory": report.total.quantity("peak_device_bytes") / _MIB,
        "watt_hours": report.total.quantity("energy") / 3.6e6,
        "energy_measured": report.total.measured("energy"),
        "saved_widths": {one.kind: _widths(one) for one in report.savings},
        "bill_digits": digits_for([bill.cost for bill in report.bills]), "rounded": rounded,
        "headlines": {
            one: column([costs[one], each[one]] if one in each else [costs[one]]) for one in billed
        },
        "tokens_changed": _changed(report.savings[0].share),
        "other_costs": column([one.cost for one in report.repriced.items])
        if report.repriced else [],
    }  # fmt: skip
    return render_page(_HERE, ("charts.js", "script.js"), data, values)


def _filled(report: CostReport, billed: list[str]) -> dict[str, dict[str, str]]:
    """The words, with those that hold a number filled in, in both languages."""
    made = {}
    for language, words in read_words(WORDS_FILE).items():
        say = Speech(language, words)
        own = dict(words)
        for currency in billed:
            for key in ("column.cost", "column.listed", "column.money_saved", "page.cost_by_day"):
                own[f"{key}.{currency}"] = say(key, currency=currency)
        comma = say("page.comma")
        own["page.groups"] = say(
            "page.groups", by=comma.join(say(f"by.{name}") for name in report.question.by)
        )
        own["page.stages_note"] = say("page.stages_note", cores=report.cores)
        pictures = f"{report.total.quantity('images', 'done'):,}"
        own["page.elsewhere_note"] = say("page.elsewhere_note", pictures=pictures)
        again = report.redrawn
        own["page.redrawn"] = say(
            "page.redrawn", drawings=f"{again.drawings:,}", of=f"{again.of:,}",
            device=seconds_text(again.device),
        )  # fmt: skip
        own["page.left_out"] = say("page.left_out", shown=MOST_GROUPS, all=len(report.groups))
        if report.repriced is not None:
            other = report.repriced
            own["page.repriced_of"] = say(
                "page.repriced_free" if other.free_alone else "page.repriced_of",
                requests=f"{other.requests:,}", left_out=f"{other.left_out:,}",
                currency=other.table.currency,
            )  # fmt: skip
            own["page.repriced"] = say("page.repriced", name=report.repriced.table.name)
        made[language] = own
    return made


def _digits(report: CostReport, day_rows: Sequence[_DayRow]) -> dict[str, dict[str, int]]:
    """Decimals of each table's money, by currency."""
    staged = [one.cost for row in report.groups for one in row.stages]
    other = report.repriced
    tables: dict[str, list[Mapping[str, int]]] = {
        "days": [amounts for *_, amounts in day_rows],
        "groups": [row.tally.cost() for row in report.groups],
        "group_stages": [*staged],
        "stages": [one.cost for one in report.stages],
        "saved": [one.money for one in report.savings],
        "billed": [one.billed for one in report.unfinished],
        "listed": [one.listed for one in report.unfinished],
        "repriced": [one.now for one in other.items] if other else [],
    }
    return {
        place: {one: digits_for(row.get(one, 0) for row in rows) for one in report.currencies}
        for place, rows in tables.items()
    }


def _changed(share: float) -> str:
    """A share that was saved, as what became of the whole: −22 %, or +22 %."""
    percent = f"{100 * abs(share):.0f} %"
    return percent if percent == "0 %" else f"{'−' if share > 0 else '+'}{percent}"


def _day_rows(calendar: Calendar) -> list[_DayRow]:
    """Step, pictures by part, pictures, cost by currency."""
    return [
        (
            step,
            calendar.pictures[at],
            sum(calendar.pictures[at]),
            {currency: sum(rows[at]) for currency, rows in calendar.costs.items()},
        )
        for at, step in enumerate(calendar.steps)
        if any(calendar.pictures[at]) or any(any(rows[at]) for rows in calendar.costs.values())
    ]


def _short(ledger: str) -> str:
    """A file's name without its folders, which are nobody's business."""
    return ledger if "://" in ledger else Path(ledger).name


def _largest(report: CostReport, currency: str) -> int:
    """Of the groups' costs, which the bars in their table are drawn by."""
    return max((row.tally.cost().get(currency, 0) for row in report.groups), default=0) or 1


def _widths(saving: Saving) -> tuple[float, float]:
    """Spent and saved, in per cent."""
    spent = round(100 * (1 - saving.share), 2)
    return (spent, round(100 - spent, 2)) if saving.used + saving.saved else (0.0, 0.0)
