"""What a fusion keeps of its target: which way the head is turned, and its expression."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eval.answers import accuracy, mistakes
from eval.bench import Bench, Image, Landmarks
from eval.card import Chapter, Figure, Table
from eval.insertions import Insertion
from eval.metrics import bootstrap, mean_interval
from eval.pose import UNSEEN_DEGREES, calibrate_pose, true_pose
from world import Look

_ANGLES = ("yaw", "roll")
_SAID, _UNSAID = "where the words say it", "where nothing is said"


def keeping_chapter(bench: Bench, insertions: Sequence[Insertion]) -> Chapter:
    """Pose error in degrees and balanced accuracy of expressions, beside the perfect answer's."""
    looks = [item.target.look for item in insertions]
    reader = calibrate_pose(bench)

    def errors(found: Sequence[Landmarks | None]) -> NDArray[np.float64]:
        return np.stack(
            [reader.error(points, look) for points, look in zip(found, looks, strict=True)]
        )

    told = errors([item.told_landmarks for item in insertions])
    unsaid = errors([item.drawn_landmarks for item in insertions])
    perfect = errors([item.perfect_landmarks for item in insertions])
    ideal = [item.perfect for item in insertions]
    figures = (
        _pose("target_pose", f"mean error of the view, {_SAID}", told, perfect, 3.0),
        _pose("target_pose_unsaid", f"mean error of the view, {_UNSAID}", unsaid, perfect, None),
        _expression(
            bench, "target_expression", f"expression kept, {_SAID}", looks,
            [item.told for item in insertions], ideal, 0.93,
        ),
        _expression(
            bench, "target_expression_unsaid", f"expression kept, {_UNSAID}", looks,
            [item.drawn for item in insertions], ideal, None,
        ),
    )  # fmt: skip
    method = (
        f"The same {len(insertions)} fusions. The view is read from the landmarks the bundle's "
        f"detector finds, by a fit to {bench.extent.poses} other pictures by the renderer, and "
        "held against the view the renderer drew the target in; yaw and roll, for pitch cannot be "
        "told from five points. Each pair is fused once more with words that say the target's "
        "expression and view; the judge of attributes answers for the target's true expression. "
        "The ceiling is the perfect answer by the same measure: for the view, what the reading "
        "itself is wrong by."
    )
    return Chapter(
        key="keeping", title="What a fusion keeps of its target", method=method, figures=figures,
        tables=(_by_angle((told, unsaid, perfect), looks),),
    )  # fmt: skip


def _pose(
    key: str,
    title: str,
    errors: NDArray[np.float64],
    perfect: NDArray[np.float64],
    bar: float | None,
) -> Figure:
    angles = np.hypot(*errors.T)
    return Figure(
        key=key, title=title, unit="°", digits=2, bar=bar,
        wanted="at most", value=float(angles.mean()), interval=mean_interval(angles),
        ceiling=float(np.hypot(*perfect.T).mean()), count=len(angles),
        note=f"yaw and roll together, as the root of their squares; no face found counts as "
        f"{UNSEEN_DEGREES:g}° in each",
    )  # fmt: skip


def _expression(
    bench: Bench,
    key: str,
    title: str,
    looks: Sequence[Look],
    images: Sequence[Image],
    perfect: Sequence[Image],
    bar: float | None,
) -> Figure:
    truth = [{"expression": look.expression} for look in looks]
    seen, ceiling = (bench.judges.attributes.judge(pictures) for pictures in (images, perfect))
    return Figure(
        key=key, title=title, unit="share", digits=3, bar=bar, count=len(truth),
        value=accuracy(truth, seen, "expression"), ceiling=accuracy(truth, ceiling, "expression"),
        interval=bootstrap(
            lambda rows: accuracy(
                [truth[row] for row in rows], [seen[row] for row in rows], "expression"
            ),
            len(truth),
        ),
        note=f"balanced accuracy; most frequent mistakes: {mistakes(truth, seen, 'expression')}",
    )  # fmt: skip


def _by_angle(errors: Sequence[NDArray[np.float64]], looks: Sequence[Look]) -> Table:
    true = np.stack([true_pose(look) for look in looks])
    guessed = np.abs(true - true.mean(axis=0))
    return Table(
        title="By angle",
        columns=("mean error", _SAID, _UNSAID, "perfect answer", "without looking"),
        rows=tuple(
            (name, *(f"{one[:, index].mean():.2f}°" for one in (*errors, guessed)))
            for index, name in enumerate(_ANGLES)
        ),
        note="Without looking: the mean view of all the targets, whatever the picture.",
    )
