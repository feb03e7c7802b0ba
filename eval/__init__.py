"""Judges, metrics and cards: what a bundle reaches, measured on drawn people nobody trained on.

Everything here is exported lazily, so that `import eval` costs nothing until a name is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.card import Card, CardInvalid, CardNotFound, Figure, read_card
    from eval.judges import AttributeJudge, Judges, JudgesNotFound, RecogniserJudge, open_judges
    from eval.measure import measure_card
    from eval.page import print_card, render_bars, render_card
    from eval.sheets import Section, Tile, sheet

__all__ = [
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
    "measure_card",
    "open_judges",
    "print_card",
    "read_card",
    "render_bars",
    "render_card",
    "sheet",
]

_HOMES = {
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
    "measure_card": "measure",
    "open_judges": "judges",
    "print_card": "page",
    "read_card": "card",
    "render_bars": "page",
    "render_card": "page",
    "sheet": "sheets",
}


def __getattr__(name: str) -> object:
    """The public name, from the module that holds it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'eval' has no attribute {name!r}")
    return getattr(import_module(f"eval.{_HOMES[name]}"), name)
