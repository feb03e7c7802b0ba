"""How a head is turned, told from the five landmarks that the bundle's detector finds.

Five points carry two angles: yaw and roll. Of pitch they say nothing that a detector's own error
does not drown: a long nose looks like a nod. The reading is linear in the points' shape and its
products, fitted to the renderer's own pictures, whose view is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.bench import Bench, Landmarks, best_face
from eval.people import PHOTO_SIZE, held_out_people, snapshot
from world import HELD_OUT, Look

_FIRST = 210_000  # held-out seed of the first person
# Of the largest singular value: what is under it is rounding, for some terms all but agree.
_LEAST_SINGULAR = 1e-4
UNSEEN_DEGREES = 90.0  # how wrong a picture counts in which no face is found


@dataclass(frozen=True)
class PoseReader:
    """Landmarks to (yaw, roll) in degrees: weights [terms, 2] of `_terms`."""

    weights: NDArray[np.float64]

    def read(self, landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
        """Yaw and roll [2] in degrees of landmarks [5, 2] in pixels."""
        return np.asarray(_terms(landmarks) @ self.weights)

    def error(self, landmarks: NDArray[np.floating] | None, look: Look) -> NDArray[np.float64]:
        """By how many degrees yaw and roll [2] differ from a look's; None is no face found."""
        if landmarks is None:
            return np.full(2, UNSEEN_DEGREES)
        return np.abs(self.read(landmarks) - true_pose(look))


def true_pose(look: Look) -> NDArray[np.float64]:
    """Yaw and roll [2] of a look, in degrees."""
    return np.degrees([look.yaw, look.roll])


def fit_pose(
    landmarks: Sequence[NDArray[np.floating]], poses: Sequence[NDArray[np.float64]]
) -> PoseReader:
    """The reader that fits best: landmarks [5, 2] each, and the true yaw and roll [2] of each."""
    terms = np.stack([_terms(points) for points in landmarks])
    weights, *_ = np.linalg.lstsq(terms, np.stack(poses), rcond=_LEAST_SINGULAR)
    return PoseReader(np.asarray(weights))


def calibrate_pose(bench: Bench) -> PoseReader:
    """A reader fitted to pictures of people and looks of chance, of the sizes of the targets."""
    rng = np.random.default_rng([HELD_OUT, _FIRST])
    people = held_out_people(bench.extent.poses, _FIRST)
    landmarks: list[Landmarks] = []
    poses: list[NDArray[np.float64]] = []
    for index, person in enumerate(bench.track(people, "how views are read")):
        photo = snapshot(person, rng, (bench.size, PHOTO_SIZE)[index % 2])
        faces = bench.analyser.analyse(photo.image)
        if faces:
            landmarks.append(best_face(faces).landmarks)
            poses.append(true_pose(photo.look))
    if not landmarks:  # a detector that finds nobody: whatever is read, no face will ask for it
        landmarks, poses = [_UPRIGHT], [np.zeros(2)]
    return fit_pose(landmarks, poses)


_UPRIGHT = np.array([[-1, 0], [1, 0], [0, 1], [-0.7, 2], [0.7, 2]], dtype=np.float64)


def _terms(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """What yaw and roll are linear in, [22].

    The eyes' slope in degrees; nose and mouth corners with the eyes' middle at 0 and their distance
    as 1; and the products with the nose's place across and with the slope, for large turns.
    """
    points = np.asarray(landmarks, dtype=np.float64) @ np.array([1, 1j])
    across = points[1] - points[0]
    slope = np.degrees(np.angle(across))
    rest = (points[2:] - points[:2].mean()) / across
    shape = np.concatenate([rest.real, rest.imag, [slope]])
    return np.concatenate([[1.0], shape, rest.real[0] * shape, slope * shape])
