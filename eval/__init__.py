"""Judges, metrics, cards, A/B runs and costs: what a bundle reaches, what a change does to it, and
what requests took.

Everything here is exported lazily, so that `import eval` costs nothing until a name is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.ab.config import ReadConfig as ABReadConfig
    from eval.ab.config import read_config as read_ab_config
    from eval.ab.examples import ab_example
    from eval.ab.null import NullResult as ABNull
    from eval.ab.null import null_ab
    from eval.ab.results import Comparison as ABComparison
    from eval.ab.results import Overall as ABOverall
    from eval.ab.results import Result as ABResult
    from eval.ab.results import read_result as read_ab_result
    from eval.ab.run import Listener as ABListener
    from eval.ab.run import report_ab, run_ab
    from eval.ab.suite import list_ab_suites
    from eval.ab.verdicts import shown_number, unit_of
    from eval.card import Card, CardInvalid, CardNotFound, Figure, read_card
    from eval.costs.elsewhere import read_services as cost_services
    from eval.costs.elsewhere import shipped_services as cost_services_example
    from eval.costs.examples import prices_example as cost_prices_example
    from eval.costs.focus import write_focus as write_costs_focus
    from eval.costs.forms import report_as_csv as costs_as_csv
    from eval.costs.forms import report_as_json as costs_as_json
    from eval.costs.money import column as amount_column
    from eval.costs.money import exact_text, price_text
    from eval.costs.money import seconds_text as time_text
    from eval.costs.opening import ledger_name
    from eval.costs.opening import reading as open_ledger
    from eval.costs.pace import read_pace as cost_pace
    from eval.costs.page import render_costs
    from eval.costs.plan import Pace as CostPace
    from eval.costs.plan import Plan as CostPlan
    from eval.costs.plan import Traffic as CostTraffic
    from eval.costs.plan import plan as plan_costs
    from eval.costs.question import read_question as cost_question
    from eval.costs.report import CostReport
    from eval.costs.report import read_report as read_costs
    from eval.costs.reprice import Repriced as CostRepriced
    from eval.costs.savings import Saving as CostSaving
    from eval.costs.stages import StageRow as CostStage
    from eval.costs.words import Speech as CostSpeech
    from eval.costs.words import speech_in as costs_speech
    from eval.judges import AttributeJudge, Judges, JudgesNotFound, RecogniserJudge, open_judges
    from eval.measure import measure_card
    from eval.page import print_card, render_bars, render_card
    from eval.sheets import Section, Tile, sheet

__all__ = [
    "ABComparison",
    "ABListener",
    "ABNull",
    "ABOverall",
    "ABReadConfig",
    "ABResult",
    "AttributeJudge",
    "Card",
    "CardInvalid",
    "CardNotFound",
    "CostPace",
    "CostPlan",
    "CostReport",
    "CostRepriced",
    "CostSaving",
    "CostSpeech",
    "CostStage",
    "CostTraffic",
    "Figure",
    "Judges",
    "JudgesNotFound",
    "RecogniserJudge",
    "Section",
    "Tile",
    "ab_example",
    "amount_column",
    "cost_pace",
    "cost_prices_example",
    "cost_question",
    "cost_services",
    "cost_services_example",
    "costs_as_csv",
    "costs_as_json",
    "costs_speech",
    "exact_text",
    "ledger_name",
    "list_ab_suites",
    "measure_card",
    "null_ab",
    "open_judges",
    "open_ledger",
    "plan_costs",
    "price_text",
    "print_card",
    "read_ab_config",
    "read_ab_result",
    "read_card",
    "read_costs",
    "render_bars",
    "render_card",
    "render_costs",
    "report_ab",
    "run_ab",
    "sheet",
    "shown_number",
    "time_text",
    "unit_of",
    "write_costs_focus",
]

# A name, and the module that holds it; after a colon what it is called there.
_HOMES = {
    "ABComparison": "ab.results:Comparison",
    "ABListener": "ab.run:Listener",
    "ABNull": "ab.null:NullResult",
    "ABOverall": "ab.results:Overall",
    "ABReadConfig": "ab.config:ReadConfig",
    "ABResult": "ab.results:Result",
    "AttributeJudge": "judges",
    "Card": "card",
    "CardInvalid": "card",
    "CardNotFound": "card",
    "CostPace": "costs.plan:Pace",
    "CostPlan": "costs.plan:Plan",
    "CostReport": "costs.report:CostReport",
    "CostRepriced": "costs.reprice:Repriced",
    "CostSaving": "costs.savings:Saving",
    "CostSpeech": "costs.words:Speech",
    "CostStage": "costs.stages:StageRow",
    "CostTraffic": "costs.plan:Traffic",
    "Figure": "card",
    "Judges": "judges",
    "JudgesNotFound": "judges",
    "RecogniserJudge": "judges",
    "Section": "sheets",
    "Tile": "sheets",
    "ab_example": "ab.examples",
    "amount_column": "costs.money:column",
    "cost_pace": "costs.pace:read_pace",
    "cost_prices_example": "costs.examples:prices_example",
    "cost_question": "costs.question:read_question",
    "cost_services": "costs.elsewhere:read_services",
    "cost_services_example": "costs.elsewhere:shipped_services",
    "costs_as_csv": "costs.forms:report_as_csv",
    "costs_as_json": "costs.forms:report_as_json",
    "costs_speech": "costs.words:speech_in",
    "exact_text": "costs.money",
    "ledger_name": "costs.opening:ledger_name",
    "list_ab_suites": "ab.suite",
    "measure_card": "measure",
    "null_ab": "ab.null",
    "open_judges": "judges",
    "open_ledger": "costs.opening:reading",
    "price_text": "costs.money",
    "plan_costs": "costs.plan:plan",
    "print_card": "page",
    "read_ab_config": "ab.config:read_config",
    "read_ab_result": "ab.results:read_result",
    "read_card": "card",
    "read_costs": "costs.report:read_report",
    "render_bars": "page",
    "render_card": "page",
    "render_costs": "costs.page:render_costs",
    "report_ab": "ab.run",
    "run_ab": "ab.run",
    "sheet": "sheets",
    "shown_number": "ab.verdicts",
    "time_text": "costs.money:seconds_text",
    "unit_of": "ab.verdicts",
    "write_costs_focus": "costs.focus:write_focus",
}


def __getattr__(name: str) -> object:
    """The public name, from the module that holds it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'eval' has no attribute {name!r}")
    module, _, called = _HOMES[name].partition(":")
    return getattr(import_module(f"eval.{module}"), called or name)
