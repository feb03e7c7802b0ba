"""Figures from scores and pictures: plain functions of arrays, no model and no file.

Scores are cosines (float, higher means more alike); labels are integers; pictures are uint8 or
float arrays of one shape. Intervals are 95 % unless told otherwise.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]
Interval = tuple[float, float]  # low and high end, in the unit of the figure

MOST_DB = 100.0  # a card's PSNR of identical pictures, which have none that is finite


def auc(genuine: FloatArray, impostor: FloatArray) -> float:
    """Area under the ROC curve: how often a genuine score beats an impostor's, ties counting half.

    genuine [n], impostor [m]; both non-empty. Computed from ranks (Mann-Whitney).
    Raises ValueError for an empty side.
    """
    return float(placements(genuine, impostor).mean())


def placements(genuine: FloatArray, impostor: FloatArray) -> NDArray[np.float64]:
    """For each genuine score the share of impostors below it, ties counting half; mean = AUC.

    Resampling these by person gives an interval of the AUC in which the impostors, who are
    hundreds of times as many, count as known (DeLong et al. 1988 call them placement values).
    Raises ValueError for an empty side.
    """
    positives, negatives = _scores(genuine, "genuine"), _scores(impostor, "impostor")
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, side="left")
    not_above = np.searchsorted(ordered, positives, side="right")
    return np.asarray((below + not_above) / (2 * len(ordered)))


def threshold_at_far(impostor: FloatArray, far: float = 1e-3) -> float:
    """The lowest impostor score above which at most a share `far` of the impostors lies.

    A score is accepted when strictly above it.
    Raises ValueError for no scores or a rate outside [0, 1).
    """
    if not 0 <= far < 1:
        raise ValueError(f"a false accept rate lies in [0, 1), got {far}")
    ordered = np.sort(_scores(impostor, "impostor"))
    return float(ordered[len(ordered) - 1 - int(far * len(ordered))])


def tar_at_far(genuine: FloatArray, impostor: FloatArray, far: float = 1e-3) -> float:
    """Share of genuine scores accepted where at most a share `far` of the impostors is."""
    return float((_scores(genuine, "genuine") > threshold_at_far(impostor, far)).mean())


def balanced_accuracy(truth: IntArray, predicted: IntArray) -> float:
    """Mean over the classes that occur of the share of each that was recognised (mean recall).

    truth and predicted: integers [n]. Raises ValueError when empty or of different length.
    """
    true, guess = np.asarray(truth), np.asarray(predicted)
    if true.shape != guess.shape or true.ndim != 1 or not len(true):
        raise ValueError(f"need two label lists of one length, got {true.shape} and {guess.shape}")
    hit = true == guess
    return float(np.mean([hit[true == label].mean() for label in np.unique(true)]))


def confusions(
    truth: Sequence[str], predicted: Sequence[str], most: int = 3
) -> list[tuple[str, str, int]]:
    """The most frequent mistakes: (what was asked, what was seen, how often), worst first."""
    counts: dict[tuple[str, str], int] = {}
    for asked, seen in zip(truth, predicted, strict=True):
        if asked != seen:
            counts[asked, seen] = counts.get((asked, seen), 0) + 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(asked, seen, count) for (asked, seen), count in ranked[:most]]


def psnr(a: NDArray[np.generic], b: NDArray[np.generic], weight: FloatArray | None = None) -> float:
    """Peak signal to noise ratio in dB of two pictures of one shape, peak 255; identical: inf.

    weight: [height, width] or the pictures' own shape, non-negative; pixels count by it. The mean
    square error of an area that is empty (weights sum to zero) is undefined: ValueError.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures differ in shape: {a.shape} and {b.shape}")
    square = (np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)) ** 2
    if weight is None:
        error = float(square.mean())
    else:
        weights = np.asarray(weight, dtype=np.float64)
        weights = weights[..., None] if weights.ndim == square.ndim - 1 else weights
        weights = np.broadcast_to(weights, square.shape)
        if weights.sum() <= 0:
            raise ValueError("the weights leave no pixel to compare")
        error = float((square * weights).sum() / weights.sum())
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def copy_paste(
    output: FloatArray, reference: FloatArray, target: FloatArray
) -> NDArray[np.float64]:
    """Copy-paste measure (θ(out,target) − θ(out,ref)) / θ(target,ref) of unit embeddings [n, d].

    θ is the angle. Positive: the picture is nearer to the photo it was given (ref) than to
    another real picture of the person (target), as a copied face is; zero or less: no copying.
    """
    to_target = _angle(output, target)
    to_reference = _angle(output, reference)
    return (to_target - to_reference) / np.maximum(_angle(target, reference), 1e-6)


def rank_correlation(x: FloatArray, y: FloatArray) -> float:
    """Spearman's ρ of two lists; 0 when either is constant (nothing follows anything)."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(stats.spearmanr(x, y).statistic)


def share_interval(hits: int, total: int) -> Interval:
    """Wilson's 95 % interval of a share."""
    found = stats.binomtest(hits, total).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def bootstrap(
    statistic: Callable[[IntArray], float], size: int, resamples: int = 300, seed: int = 0
) -> Interval:
    """95 % percentile bootstrap of `statistic(indices)`, resampling `size` units with replacement.

    The units are what was drawn independently (people, pairs): resampling single scores of one
    person would make the interval too narrow. Resamples where the statistic raises ValueError
    (a class is missing) are left out.
    """
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        try:
            values.append(statistic(rng.integers(0, size, size)))
        except ValueError:
            continue
    if not values:
        raise ValueError("the statistic is undefined on every resample")
    low, high = np.quantile(np.asarray(values), [0.025, 0.975])
    return float(low), float(high)


def ratio(part: FloatArray, whole: FloatArray) -> float:
    """The mean of one over the mean of the other, [n] each."""
    return float(part.mean() / max(float(whole.mean()), 1e-6))


def ratio_interval(part: FloatArray, whole: FloatArray) -> Interval | None:
    """95 % bootstrap interval of a ratio of means, by pairs; None for fewer than two."""
    if len(part) < 2:
        return None
    return bootstrap(lambda rows: ratio(part[rows], whole[rows]), len(part))


def mean_interval(values: NDArray[np.generic], seed: int = 0) -> Interval | None:
    """95 % bootstrap interval of a mean, None for fewer than two values.

    values [n], or [n, k] for k scores of each of n people, who are resampled whole.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return None
    return bootstrap(lambda rows: float(array[rows].mean()), len(array), seed=seed)


def _scores(values: FloatArray, side: str) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64).ravel()
    if not len(scores):
        raise ValueError(f"no {side} scores to compare")
    if not np.isfinite(scores).all():
        raise ValueError(f"{side} scores hold values that are not finite")
    return scores


def _angle(a: FloatArray, b: FloatArray) -> NDArray[np.float64]:
    cosine = np.sum(np.asarray(a, dtype=np.float64) * np.asarray(b, dtype=np.float64), axis=-1)
    return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)))
