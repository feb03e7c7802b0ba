"""Looking after every unit: intervals and evidence that hold whenever one stops.

Both are Robbins' normal mixture (1970), the form of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
(Time-uniform central limit theory, arXiv:2103.06476), with two changes for few units and many ties,
where an estimated variance is too small when it matters: it is taken about the mean in question
instead of the mean seen, and never lets what has not varied yet decide. Symbols are the paper's.
Measured in tests/eval/ab/test_sequential.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from eval.ab.statistics import rescaled, unit_scaled
from eval.metrics import FloatArray

MINIMUM_UNITS: Final = 8  # fewer say nothing: no interval, and an e-value of one
_TIGHTEST_AT: Final = 0.5  # of the planned units; a quarter or the whole find no more
_ALPHA: Final = 0.05  # that the mixture of e-values is tuned for, as the sequence's is
_MOST_LOG: Final = 700.0  # exp of more is no float


def confidence_sequence(
    differences: FloatArray, alpha: float = 0.05, *, planned: int, bound: float | None = None
) -> tuple[float, float, float]:
    """Mean, low and high after the units so far: with 1 - alpha the mean is in all of them at once.

    differences: [units] in the order they came; planned: units of the whole run, at half of which
    the interval is tightest; bound: the largest size a difference can have, where there is one.
    Asymptotic. The half width is σ̂ sqrt(B² / (1 - B²)) with the paper's
    B² = 2 (tρ² + 1) log(sqrt(tρ² + 1) / α) / (t² ρ²), which solves (mean - μ)² = σ̂(μ)² B² for the
    variance about μ as Wilson's interval does; to σ̂² one more observation is added, as far off as
    the farthest seen. (-inf, inf) before MINIMUM_UNITS and while B² ≥ 1, some units longer. Where
    all are equal nothing is known of how they vary: (-inf, inf) too, or, with a bound, what is
    compatible with none of t units being any other (1 - α^(1/t), the rule of three).
    Raises TooFewUnits for none, ValueError for what is not finite.
    """
    rho2 = _rho2(alpha, planned)
    scaled, exponent = unit_scaled(differences, least=1)
    t = len(scaled)
    mean = math.fsum(scaled) / t
    seen = rescaled(mean, exponent)
    if t < MINIMUM_UNITS:
        return seen, -math.inf, math.inf
    if np.ptp(scaled) == 0:
        if bound is None:
            return seen, -math.inf, math.inf
        unseen = 1 - alpha ** (1 / t)
        return seen, seen - unseen * (bound + seen), seen + unseen * (bound - seen)
    intrinsic = t * rho2
    margin2 = 2 * (1 + 1 / intrinsic) * (math.log1p(intrinsic) / 2 - math.log(alpha)) / t
    if margin2 >= 1:
        return seen, -math.inf, math.inf
    off = np.square(scaled - mean)
    sigma2 = float(off.sum() + off.max()) / t
    half = math.sqrt(sigma2 * margin2 / (1 - margin2))
    return seen, rescaled(mean - half, exponent), rescaled(mean + half, exponent)


def e_value(differences: FloatArray, planned: int) -> float:
    """Evidence after the units so far that the mean is not zero: 20 and more is rare under zero.

    (1 + ρ²V)^(-1/2) exp(ρ²S² / (2 (1 + ρ²V))) for the sum S and the sum of squares V, Robbins'
    mixture with de la Peña's self-normalisation (1999). Where the arms are the same, a difference
    is as likely as its opposite, and for such this is no approximation: at whatever unit one stops,
    for any ties, tails and scale, its mean is at most one. For a mean of zero without that symmetry
    it is asymptotic. ρ² is in the scale of the first units, fixed by their sizes alone.
    1 before MINIMUM_UNITS and as long as all are zero; never inf.
    """
    rho2 = _rho2(_ALPHA, planned)
    scaled, _ = unit_scaled(differences, least=0)
    squares = np.square(scaled)
    running = np.cumsum(squares)
    told = np.flatnonzero(running[MINIMUM_UNITS - 1 :] > 0)
    if not len(told):
        return 1.0
    first = MINIMUM_UNITS + int(told[0])  # units that set the scale
    v, s = float(squares.sum()), math.fsum(scaled)
    intrinsic = rho2 * first * v / float(running[first - 1])  # ρ²V
    evidence = s * s / (2 * v) / (1 + 1 / intrinsic) - math.log1p(intrinsic) / 2
    return math.exp(min(evidence, _MOST_LOG))


def e_bh(e_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Which of several hypotheses fall, false ones at most a share alpha of them (e-BH).

    Wang and Ramdas, False discovery rate control with e-values (2022): under any dependence, and
    whenever one stops. The k largest fall, for the largest k of which each is at least m / (kα).
    """
    count = len(e_values)
    ordered = sorted(e_values, reverse=True)
    enough = [k for k, e in enumerate(ordered, 1) if k * alpha * e >= count]
    least = ordered[enough[-1] - 1] if enough else math.inf
    return [bool(enough) and e >= least for e in e_values]


def _rho2(alpha: float, planned: int) -> float:
    """ρ² that is tightest at _TIGHTEST_AT of the planned units (the paper's appendix on ρ)."""
    if planned < 1 or not 0 < alpha < 1:
        raise ValueError(f"need planned units and 0 < alpha < 1, got {planned} and {alpha}")
    squared = -2 * math.log(alpha)
    return (squared + math.log(squared + 1)) / (_TIGHTEST_AT * planned)
