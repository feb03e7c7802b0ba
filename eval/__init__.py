"""Judges, metrics, cards and A/B runs: what a bundle reaches, and what a change does to it.

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
    "Figure",
    "Judges",
    "JudgesNotFound",
    "RecogniserJudge",
    "Section",
    "Tile",
    "ab_example",
    "list_ab_suites",
    "measure_card",
    "null_ab",
    "open_judges",
    "print_card",
    "read_ab_config",
    "read_ab_result",
    "read_card",
    "render_bars",
    "render_card",
    "report_ab",
    "run_ab",
    "sheet",
    "shown_number",
    "unit_of",
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
    "Figure": "card",
    "Judges": "judges",
    "JudgesNotFound": "judges",
    "RecogniserJudge": "judges",
    "Section": "sheets",
    "Tile": "sheets",
    "ab_example": "ab.examples",
    "list_ab_suites": "ab.suite",
    "measure_card": "measure",
    "null_ab": "ab.null",
    "open_judges": "judges",
    "print_card": "page",
    "read_ab_config": "ab.config:read_config",
    "read_ab_result": "ab.results:read_result",
    "read_card": "card",
    "render_bars": "page",
    "render_card": "page",
    "report_ab": "ab.run",
    "run_ab": "ab.run",
    "sheet": "sheets",
    "shown_number": "ab.verdicts",
    "unit_of": "ab.verdicts",
}


def __getattr__(name: str) -> object:
    """The public name, from the module that holds it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'eval' has no attribute {name!r}")
    module, _, called = _HOMES[name].partition(":")
    return getattr(import_module(f"eval.{module}"), called or name)
