"""A judge's answers beside what was asked: how many agree, by attribute and all together."""

from collections.abc import Mapping, Sequence

import numpy as np

from eval.metrics import balanced_accuracy, confusions

# Of each picture: what a judge should answer to each head, None where the picture does not show it;
# and what it answered.
Labels = Sequence[Mapping[str, str | None]]
Answers = Sequence[Mapping[str, str]]

COLOURS = ("hair", "clothing", "background")  # heads that say of what a colour is
_CONFUSED = 3  # of the most frequent confusions, how many are named


def asked(truth: Labels, head: str) -> int:
    """Of how many pictures the head is asked at all."""
    return sum(labels.get(head) is not None for labels in truth)


def accuracy(truth: Labels, answers: Answers, head: str) -> float:
    """Mean over a head's classes of the share that was recognised. Raises ValueError for none."""
    wanted, seen = _pairs(truth, answers, head)
    classes = {name: index for index, name in enumerate(sorted({*wanted, *seen}))}
    return balanced_accuracy(
        np.array([classes[name] for name in wanted]), np.array([classes[name] for name in seen])
    )


def mean_accuracy(truth: Labels, answers: Answers, heads: Sequence[str]) -> float:
    """The mean over heads of `accuracy`."""
    return float(np.mean([accuracy(truth, answers, head) for head in heads]))


def all_as_asked(truth: Labels, answers: Answers, heads: Sequence[str]) -> list[bool]:
    """Of each picture, whether every one of the heads that it shows is answered as asked."""
    return [
        all(labels.get(head) in (None, answer[head]) for head in heads)
        for labels, answer in zip(truth, answers, strict=True)
    ]


def mistakes(truth: Labels, answers: Answers, head: str) -> str:
    """The most frequent confusions, in words."""
    worst = confusions(*_pairs(truth, answers, head), most=_CONFUSED)
    return ", ".join(f"{wanted} → {seen} {count}×" for wanted, seen, count in worst) or "none"


def _pairs(truth: Labels, answers: Answers, head: str) -> tuple[list[str], list[str]]:
    wanted, seen = [], []
    for labels, answer in zip(truth, answers, strict=True):
        label = labels.get(head)
        if label is not None:
            wanted.append(label)
            seen.append(answer[head])
    return wanted, seen
