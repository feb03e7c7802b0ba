"""Few steps: what they lose against the bundle's usual number, on the same people and seeds."""

import numpy as np
from numpy.typing import NDArray

from eval.answers import asked, mean_accuracy
from eval.bench import Bench, look_at
from eval.card import Chapter, Figure
from eval.metrics import MOST_DB, bootstrap, mean_interval, psnr
from eval.trials import Trials, draw
from models import FewSteps

_MOST_LOST = -0.02  # of the cosine, and of the mean accuracy


def few_steps_chapters(bench: Bench, trials: Trials) -> tuple[Chapter, ...]:
    """The chapter of few steps, or none where the bundle's manifest knows no few steps."""
    known = bench.bundle.manifest.defaults.few_steps
    return () if known is None else (_chapter(bench, trials, known),)


def _chapter(bench: Bench, trials: Trials, known: FewSteps) -> Chapter:
    """Draw the trials once more in few steps; identity and attributes beside the usual ones."""
    tasks = list(zip(trials.sources, trials.wishes, strict=True))
    few = [
        draw(bench, source, wish, seed, few=True)
        for seed, (source, wish) in enumerate(bench.track(tasks, "few steps"))
    ]
    usual_cosine = trials.likeness(trials.drawn_seen)
    cosine = trials.likeness(look_at(bench, few))
    decibels = np.array([min(psnr(a, b), MOST_DB) for a, b in zip(few, trials.drawn, strict=True)])
    judge = bench.judges.attributes
    truth = [wish.labels for wish in trials.wishes]
    heads = [head for head in judge.heads if asked(truth, head)]
    answers, usual_answers = judge.judge(few), judge.judge(trials.drawn)

    def means(rows: NDArray[np.integer]) -> tuple[float, float]:
        picked = [truth[row] for row in rows]
        ours, theirs = ([seen[row] for row in rows] for seen in (answers, usual_answers))
        return mean_accuracy(picked, ours, heads), mean_accuracy(picked, theirs, heads)

    def lost(rows: NDArray[np.integer]) -> float:
        ours, theirs = means(rows)
        return ours - theirs

    count = len(trials)
    everybody = np.arange(count)
    mean, usual_mean = means(everybody)
    change = cosine - usual_cosine
    figures = (
        Figure(
            key="few_cosine", title="cosine with the source photo", value=float(cosine.mean()),
            interval=mean_interval(cosine), ceiling=float(usual_cosine.mean()), count=count,
        ),
        Figure(
            key="few_cosine_change", title="change of the cosine", value=float(change.mean()),
            interval=mean_interval(change), bar=_MOST_LOST, ceiling=0.0, count=count,
        ),
        Figure(
            key="few_attributes", title="attributes obeyed, mean", unit="share", value=mean,
            ceiling=usual_mean, count=count,
            interval=bootstrap(lambda rows: means(rows)[0], count, resamples=200),
        ),
        Figure(
            key="few_attributes_change", title="change of attributes obeyed", unit="share",
            value=mean - usual_mean, bar=_MOST_LOST, ceiling=0.0, count=count,
            interval=bootstrap(lost, count, resamples=200), note="in percentage points",
        ),
        Figure(
            key="few_psnr", title="PSNR to the picture of the usual steps", unit="dB", digits=1,
            value=float(decibels.mean()), interval=mean_interval(decibels), ceiling=MOST_DB,
            count=count,
        ),
    )  # fmt: skip
    method = (
        f'The portraits above once more with steps="few": {known.steps} steps of '
        f"{known.scheduler}, instead of {bench.bundle.manifest.defaults.steps} of "
        "the bundle's own scheduler; the same people, photos, words and seeds. The ceiling is the "
        "portrait of the usual steps. Intervals are of the differences of pairs."
    )
    return Chapter(key="few_steps", title="Few steps", method=method, figures=figures)
