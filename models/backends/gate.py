"""Whether an engine computes what eager computes: finite, and near enough, or it is refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from models.errors import EngineRefused

if TYPE_CHECKING:
    from models.backends.backend import Runner
    from models.backends.graph import Graph

LEAST_PSNR_DB: Final = 40.0
MOST_PSNR_DB: Final = 200.0  # told for what is equal
_SEEDS: Final = (0, 1)


def passes(graph: Graph, runner: Runner, name: str) -> float:
    """The least PSNR of an engine's outputs against eager's, over batches of several sizes.

    Raises EngineRefused where one is not finite, of another shape, or under LEAST_PSNR_DB.
    """
    least, most = graph.rows
    worst = MOST_PSNR_DB
    for rows in sorted({least, min(least + 1, most), min(8, most)}):
        for seed in _SEEDS:
            tensors = graph.examples(rows, seed)
            expected = graph.run(tensors)
            try:
                found = runner(tensors)
            except Exception as error:  # a library's own
                reason = " ".join(str(error).split())[:200]
                raise EngineRefused(
                    f"{name} cannot be run: {reason}; draw with backend eager"
                ) from error
            for output, one, other in zip(graph.outputs, expected, found, strict=True):
                worst = min(worst, _compared(f"{name}: {output} of {rows} rows", one, other))
    return worst


def psnr_db(expected: Tensor, found: Tensor) -> float:
    """In decibels, of a range as wide as what is expected; MOST_PSNR_DB where all is equal."""
    first, second = expected.float(), found.float()
    error = float((first - second).square().mean())
    peak = float(first.max() - first.min())
    if error == 0:
        return MOST_PSNR_DB
    if peak == 0:
        return 0.0
    return min(10 * math.log10(peak**2 / error), MOST_PSNR_DB)


def _compared(what: str, expected: Tensor, found: Tensor) -> float:
    if expected.shape != found.shape:
        raise EngineRefused(
            f"{what} has shape {list(found.shape)}, eager's is {list(expected.shape)}; the engine "
            "is refused: draw with backend eager"
        )
    if not bool(torch.isfinite(expected).all()):
        raise EngineRefused(
            f"{what}: eager's own numbers are not finite, so no engine can be held against them; "
            "look at the weights, or give another precision"
        )
    if not bool(torch.isfinite(found).all()):
        raise EngineRefused(f"{what} is not finite; the engine is refused: draw with backend eager")
    psnr = psnr_db(expected, found)
    if not psnr >= LEAST_PSNR_DB:
        raise EngineRefused(
            f"{what} is {psnr:.1f} dB from eager's, at least {LEAST_PSNR_DB:.0f} are needed; the "
            "engine is refused: draw with backend eager"
        )
    return psnr
