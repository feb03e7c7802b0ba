"""A day at a portrait service, made up: templates that customers fill with people, Zipf among them.

A template fixes how a portrait looks (a company's headshots, a painter's series); a request puts a
person into it. The same dict comes again and again, the popular ones most.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Attributes = dict[str, object]

_LOOK: Mapping[str, tuple[object, ...]] = {
    "style": ("photorealistic", "oil painting", "watercolor", "pencil sketch", "film photo"),
    "light": ("studio", "golden", "back", "front", "dramatic", "left", "right"),
    "background": (
        "grey", "white", "blue", "park", "beach", "night", "sunset", "office", "library",
    ),
    "view": ("front", "left", "right", "profile"),
    "clothing": (
        "navy suit", "white shirt", "black dress", "red shirt", "denim jacket", "wool sweater",
    ),
    "lens": (["85mm"], ["sharp focus"], ["bokeh"], ["85mm", "bokeh"], ["film grain"]),
    "phrases": (["holding a violin"], ["sitting at a desk"], ["snow falling"], ["company badge"]),
}  # fmt: skip
# How likely a template speaks of each.
_SAID = {"style": 0.9, "light": 0.9, "background": 1.0, "view": 0.6, "clothing": 0.7}
_SAID |= {"lens": 0.5, "phrases": 0.2}


def templates(count: int, seed: int = 0) -> list[Attributes]:
    """Different looks, each a part of a request's attributes."""
    rng = random.Random(seed)
    found: dict[str, Attributes] = {}
    while len(found) < count:
        look = {
            key: rng.choice(values) for key, values in _LOOK.items() if rng.random() < _SAID[key]
        }
        found.setdefault(repr(look), look)
    return list(found.values())


def requests(looks: list[Attributes], count: int, seed: int = 0) -> list[Attributes]:
    """Different attribute dicts: a person in a look."""
    rng = random.Random(seed)
    found: dict[str, Attributes] = {}
    while len(found) < count:
        request = {**rng.choice(looks), **_person(rng)}
        found.setdefault(repr(sorted(request.items(), key=lambda item: item[0])), request)
    return list(found.values())


def zipf_trace(distinct: int, length: int, exponent: float, seed: int = 0) -> NDArray[np.int64]:
    """Indices of requests in the order in which they come; the k-th is drawn 1/k^exponent as often
    as the first.
    """
    weights = 1 / np.arange(1, distinct + 1) ** exponent
    rng = np.random.default_rng(seed)
    return rng.choice(distinct, length, p=weights / weights.sum())


def _person(rng: random.Random) -> Attributes:
    gender = rng.choice(("woman", "man"))
    person: Attributes = {
        "gender": gender,
        "age": rng.randint(18, 79),
        "expression": rng.choice(("smiling", "neutral", "serious", "laughing", "surprised")),
    }
    if rng.random() < 0.6:
        person["hair"] = rng.choice(("black", "brown", "blond", "ginger", "grey"))
    if rng.random() < 0.35:
        person["glasses"] = True
    if gender == "man" and rng.random() < 0.35:
        person["beard"] = True
    if rng.random() < 0.2:
        person["earrings"] = True
    return person
