"""Fusion into a target portrait: whose face is it then, and did the rest stay untouched?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.bench import Bench, Image, Landmarks, best_face, look_at
from eval.card import Chapter, Figure, Table
from eval.metrics import (
    MOST_DB,
    mean_interval,
    psnr,
    ratio,
    ratio_interval,
    share_interval,
)
from eval.people import PHOTO_SIZE, Photo, held_out_people, photograph, snapshot
from fusion import FusionRequest, Identity, MaskShape
from world import HELD_OUT, Person, sample_look

_FIRST = 90_000  # held-out seed of the first person


@dataclass(frozen=True)
class Insertion:
    """One fusion: who goes where, the result, the perfect answer, and the judge's cosines.

    told: the result where the words say the target's expression and view; drawn: where they say
    nothing.
    perfect: the renderer's own picture of the source person in the target's look.
    to_source, to_owner: of the result with another photo of the source and of the target's own
    person; perfect_to_source, perfect_to_owner: the same of the perfect answer; to_perfect: of
    the result with the perfect answer. outside: PSNR in dB where the mask is 0. landmarks: [5, 2]
    pixels as the bundle's detector finds them, None where it finds no face.
    """

    source: Photo
    target: Photo
    drawn: Image
    told: Image
    perfect: Image
    drawn_landmarks: Landmarks | None
    told_landmarks: Landmarks | None
    perfect_landmarks: Landmarks | None
    same_gender: bool
    to_source: float
    to_owner: float
    perfect_to_source: float
    perfect_to_owner: float
    to_perfect: float
    outside: float

    @property
    def is_source(self) -> bool:
        """Whether the judge takes the result for the source rather than the target's person."""
        return self.to_source > self.to_owner


def run_insertions(bench: Bench) -> list[Insertion]:
    """Fuse sources into targets, without a word and with the target's expression and view."""
    count = bench.extent.targets
    rng = np.random.default_rng([HELD_OUT, _FIRST])
    people = held_out_people(8 * count, _FIRST)
    insertions = []
    for index in bench.track(range(count), "fusion into a target"):
        source = people[index]
        owner = _owner(people[count + 7 * index : count + 7 * index + 7], source, index % 2 == 0)
        # Targets of the bundle's own size and larger ones, in turn.
        size = bench.size if index // 2 % 2 == 0 else PHOTO_SIZE
        insertions.append(_insert(bench, source, owner, size, rng, index))
    return insertions


def insertions_chapter(bench: Bench, insertions: list[Insertion]) -> Chapter:
    """Share taken for the source, likeness beside the perfect answer's, the rest untouched."""
    count = len(insertions)
    hits = [item.is_source for item in insertions]
    share = share_interval(sum(hits), count)
    perfect = np.mean([item.perfect_to_source > item.perfect_to_owner for item in insertions])
    outside = np.array([item.outside for item in insertions])
    cosines = np.array([item.to_source for item in insertions])
    ceilings = np.array([item.perfect_to_source for item in insertions])
    to_perfect = np.array([item.to_perfect for item in insertions])
    figures = (
        Figure(
            key="target_nearer", title="nearer to the source than to the target's person",
            unit="share", value=float(np.mean(hits)), bar=0.85, ceiling=float(perfect),
            interval=share, count=count,
        ),
        Figure(
            key="target_outside", title="least PSNR outside the mask", unit="dB", digits=1,
            value=float(outside.min()), bar=40.0, ceiling=MOST_DB, count=count,
            note=f"{MOST_DB:.0f} dB stands for pixels that are identical",
        ),
        Figure(
            key="target_cosine", title="cosine with another photo of the source",
            value=float(cosines.mean()), interval=mean_interval(cosines),
            ceiling=float(ceilings.mean()), count=count,
        ),
        Figure(
            key="target_of_ceiling", title="likeness, as a fraction of the perfect answer's",
            value=ratio(cosines, ceilings), bar=0.80, interval=ratio_interval(cosines, ceilings),
            count=count,
        ),
        Figure(
            key="target_perfect", title="cosine with the perfect answer itself",
            value=float(to_perfect.mean()), interval=mean_interval(to_perfect), ceiling=1.0,
            count=count,
        ),
    )  # fmt: skip
    table = Table(
        title="By kind of pair",
        columns=("pair", "n", "nearer to the source", "cosine", "perfect answer's"),
        rows=tuple(
            _row(name, chosen)
            for name, chosen in (
                ("same gender", [item for item in insertions if item.same_gender]),
                ("other gender", [item for item in insertions if not item.same_gender]),
                (f"target of {bench.size}²", _of_size(insertions, bench.size)),
                (f"target of {PHOTO_SIZE}²", _of_size(insertions, PHOTO_SIZE)),
            )
            if chosen
        ),
    )
    method = (
        f"{count} pairs of held-out people, every other of one gender, a photo of each; no words. "
        "The judge compares the result with another photo of the source and another photo of the "
        "target's own person. The perfect answer is the renderer's picture of the source person "
        "in the target's look."
    )
    return Chapter(
        key="targets", title="Fusion into a target", method=method, figures=figures, tables=(table,)
    )


def _insert(
    bench: Bench, person: Person, owner: Person, size: int, rng: np.random.Generator, seed: int
) -> Insertion:
    source, source_again = snapshot(person, rng), snapshot(person, rng)
    look = sample_look(rng, owner)
    target, owner_again = photograph(owner, look, size), snapshot(owner, rng)
    perfect = photograph(person, look, size).image
    drawn, told = (
        bench.fuse(
            FusionRequest(
                identities=(Identity(image=source.image),),
                target=target.image,
                attributes=words,
                steps=None,
                seed=seed,
                verify=False,
            ),
            instead=target.image,
        )
        for words in ({}, {"expression": look.expression, "view": look.view})
    )
    sighting = look_at(bench, [drawn, perfect, source_again.image, owner_again.image, told])
    seen = sighting.embeddings
    return Insertion(
        source=source,
        target=target,
        drawn=drawn,
        told=told,
        perfect=perfect,
        drawn_landmarks=sighting.landmarks[0],
        told_landmarks=sighting.landmarks[4],
        perfect_landmarks=sighting.landmarks[1],
        same_gender=person.gender == owner.gender,
        to_source=float(seen[0] @ seen[2]),
        to_owner=float(seen[0] @ seen[3]),
        perfect_to_source=float(seen[1] @ seen[2]),
        perfect_to_owner=float(seen[1] @ seen[3]),
        to_perfect=float(seen[0] @ seen[1]),
        outside=_outside(bench, target.image, drawn),
    )


def outside_mask(
    landmarks: NDArray[np.floating], size: tuple[int, int], shape: MaskShape
) -> NDArray[np.bool_]:
    """The pixels [height, width] beyond the soft border of a head's mask.

    landmarks: [5, 2] pixels; size: (width, height). Written anew from MaskShape's words, so that
    the engine's own mask is not what proves the engine.
    """
    points = np.asarray(landmarks, dtype=np.float64) @ np.array([1, 1j])
    eyes, mouth, across = points[:2].mean(), points[3:].mean(), points[1] - points[0]
    unit = max(abs(across), abs(mouth - eyes) / shape.eyes_to_mouth)
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    # Turning by the eyes' line and dividing by their distance gives the face's own coordinates.
    place = (columns + 1j * rows - eyes) * np.conj(across / abs(across)) / unit
    down = place.imag - shape.centre_down
    reach = np.where(down < 0, shape.reach_up, shape.reach_down)
    radius = np.hypot(place.real / shape.half_width, down / reach)
    return np.asarray(radius > 1 + shape.feather / shape.half_width + 1e-6)


def _outside(bench: Bench, target: Image, drawn: Image) -> float:
    faces = bench.analyser.analyse(target)
    height, width = target.shape[:2]
    if not faces:
        return min(psnr(target, drawn), MOST_DB)
    untouched = outside_mask(best_face(faces).landmarks, (width, height), MaskShape())
    if not untouched.any():
        return MOST_DB
    return min(psnr(target, drawn, untouched.astype(np.float32)), MOST_DB)


def _owner(candidates: list[Person], source: Person, same_gender: bool) -> Person:
    """The first candidate whose gender agrees with the source's (or does not), as is wanted."""
    for person in candidates:
        if (person.gender == source.gender) == same_gender:
            return person
    return candidates[0]


def _of_size(insertions: list[Insertion], size: int) -> list[Insertion]:
    return [item for item in insertions if item.target.image.shape[0] == size]


def _row(name: str, chosen: list[Insertion]) -> tuple[str, ...]:
    return (
        name,
        str(len(chosen)),
        f"{100 * np.mean([item.is_source for item in chosen]):.1f} %",
        f"{np.mean([item.to_source for item in chosen]):.3f}",
        f"{np.mean([item.perfect_to_source for item in chosen]):.3f}",
    )
