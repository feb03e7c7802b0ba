"""Two people in one portrait, by weight: does the likeness to each follow their share?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.bench import Bench, Image, look_at
from eval.card import Chapter, Figure
from eval.metrics import mean_interval, rank_correlation, share_interval
from eval.people import Photo, balanced_wishes, held_out_people, snapshot
from fusion import FusionRequest, Identity
from world import HELD_OUT

WEIGHTS = (0.2, 0.4, 0.6, 0.8)  # of the first person; the second has the rest
_FIRST = 80_000  # held-out seed of the first person


@dataclass(frozen=True)
class Mixture:
    """One pair: both photos, a portrait for each of WEIGHTS, cosines [weights] with each person."""

    first: Photo
    second: Photo
    drawn: tuple[Image, ...]
    to_first: NDArray[np.float32]
    to_second: NDArray[np.float32]

    @property
    def follows(self) -> bool:
        """Whether each person is nearer at 0.8 than at 0.2, and rises in rank in between."""
        return _rises(self.to_first) and _rises(self.to_second[::-1])


def run_mixtures(bench: Bench) -> list[Mixture]:
    """Draw every pair by every weight: the same words, the same seed, only the weights differ."""
    count = bench.extent.pairs
    people = held_out_people(2 * count, _FIRST)
    rng = np.random.default_rng([HELD_OUT, _FIRST])
    photos = [snapshot(person, rng) for person in people]
    wishes = balanced_wishes(people[:count], _FIRST)
    mixtures = []
    for index in bench.track(range(count), "two people by weight"):
        first, second = photos[index], photos[count + index]
        drawn = []
        for weight in WEIGHTS:
            # The gender of the wish would take sides where the two differ.
            said = {key: wishes[index].attributes[key] for key in ("age", "expression")}
            said |= {key: wishes[index].attributes[key] for key in ("clothing", "background")}
            request = FusionRequest(
                identities=(
                    Identity(image=first.image, weight=weight),
                    Identity(image=second.image, weight=1 - weight),
                ),
                attributes=said,
                steps=None,
                seed=index,
                verify=False,
            )
            drawn.append(bench.fuse(request, instead=np.zeros_like(first.image)))
        seen = look_at(bench, [first.image, second.image, *drawn]).embeddings
        mixtures.append(
            Mixture(first, second, tuple(drawn), seen[2:] @ seen[0], seen[2:] @ seen[1])
        )
    return mixtures


def mixtures_chapter(mixtures: list[Mixture]) -> Chapter:
    """Share of pairs whose likenesses follow the weights, and by how much."""
    count = len(mixtures)
    follows = [mixture.follows for mixture in mixtures]
    share = share_interval(sum(follows), count)
    both_ends = [
        bool(m.to_first[-1] > m.to_first[0] and m.to_second[0] > m.to_second[-1]) for m in mixtures
    ]
    ends = share_interval(sum(both_ends), count)
    ranks = np.array(
        [
            (
                rank_correlation(np.array(WEIGHTS), m.to_first)
                + rank_correlation(np.array(WEIGHTS), m.to_second[::-1])
            )
            / 2
            for m in mixtures
        ]
    )
    nearer = [
        int(np.sum((m.to_first > m.to_second) == (np.array(WEIGHTS) > 0.5))) for m in mixtures
    ]
    heavier = share_interval(sum(nearer), count * len(WEIGHTS))
    own = np.mean([(m.to_first + m.to_second[::-1]) / 2 for m in mixtures], axis=0)
    curve = ", ".join(
        f"{cosine:.2f} at {weight}" for weight, cosine in zip(WEIGHTS, own, strict=True)
    )
    interval = mean_interval(ranks)
    figures = (
        Figure(
            key="mixture_follows", title="pairs whose likenesses follow the weights", unit="share",
            value=float(np.mean(follows)), bar=0.90, interval=share, count=count,
            note=f"mean cosine with a person by their weight: {curve}",
        ),
        Figure(
            key="mixture_ends", title="pairs where 0.8 beats 0.2 for both", unit="share",
            value=float(np.mean(both_ends)), interval=ends, count=count,
        ),
        Figure(
            key="mixture_rank", title="mean rank correlation of likeness and weight",
            value=float(ranks.mean()), interval=interval, count=count,
        ),
        Figure(
            key="mixture_nearer", title="portraits nearer to the one who weighs more",
            unit="share", value=sum(nearer) / (count * len(WEIGHTS)),
            interval=heavier, count=count * len(WEIGHTS),
        ),
    )  # fmt: skip
    listed = ", ".join(str(weight) for weight in WEIGHTS)
    method = (
        f"{count} pairs of held-out people of any gender, a portrait for each weight of {listed}: "
        "the same words and seed. A pair follows its weights when, for both people, the judge's "
        "cosine is higher at 0.8 than at 0.2 and its rank correlation with the weight over all "
        "four is positive."
    )
    return Chapter(key="mixtures", title="Two people by weight", method=method, figures=figures)


def _rises(cosines: NDArray[np.float32]) -> bool:
    """Whether values in the order of WEIGHTS rise from end to end and, by rank, on the way."""
    return bool(cosines[-1] > cosines[0]) and rank_correlation(np.array(WEIGHTS), cosines) > 0
