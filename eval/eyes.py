"""Eyes as a picture shows them: how far each is open, measured on the pixels themselves.

An open eye shows white: brighter and greyer than the skin around it, as only the eyeball and the
light on it are. Over how many rows it shows, in distances of the eyes, is the eye's opening. An eye
that is shut, smeared or missing shows none, whatever lashes, lids and glasses do.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from eval.bench import Image

# What counts as open, and as even. The renderer's own pictures at 128²: no eye opens less than
# 0.05 (2,000 people); painted over, none shows more than 0.02.
LEAST_OPENING = 0.03
EVENNESS = 0.4  # the narrower eye's opening over the wider one's
TRUE_EVENNESS = 0.5  # and what the truth must have, so that evenness is asked of a picture

_UNIT = 96  # pixels of a crop that are one distance of the eyes
_HALF_CROP = 29  # pixels from its middle to its edge
_HALF_WIDTH, _HALF_HEIGHT = 16, 13  # of the part in which the eye is looked for
_CHEEK = (15, 25)  # so many pixels under the eye lies skin in the same light
_GREY = 0.35  # of the way from the skin's blue over red to grey's, from which on it is white
_BRIGHT, _BRIGHT_AT_ALL = 0.5, 0.3  # of the skin's brightness, and of all there is


def openings(image: Image, landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far the two eyes are open [2], in distances of the eyes.

    image: uint8 RGB [height, width, 3]; landmarks: [5, 2] pixels, the image's left eye first.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    return np.array([_opening(_crop(image, eye, points[1] - points[0])) for eye in points[:2]])


def are_open(opened: NDArray[np.float64]) -> bool:
    """Whether both eyes are."""
    return bool(opened.min() >= LEAST_OPENING)


def evenness(opened: NDArray[np.float64]) -> float:
    """The narrower opening over the wider one; 0 where both are shut."""
    return float(opened.min() / max(opened.max(), 1e-9))


def are_as_true(opened: NDArray[np.float64], truth: NDArray[np.float64]) -> bool:
    """Whether both eyes are open, and even where they are in the true picture.

    A turned head, hair or a shadow may leave less to see of one eye: then evenness is not asked.
    """
    asked = evenness(truth) >= TRUE_EVENNESS
    return are_open(opened) and (not asked or evenness(opened) >= EVENNESS)


def openings_of(
    images: Sequence[Image], landmarks: Sequence[NDArray[np.floating] | None]
) -> NDArray[np.float64]:
    """Openings [n, 2] of many; 0 where no face was found."""
    return np.array(
        [
            np.zeros(2) if points is None else openings(image, points)
            for image, points in zip(images, landmarks, strict=True)
        ]
    ).reshape(-1, 2)


def _crop(
    image: Image, centre: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The upright square around an eye, 0 to 1, _UNIT pixels of it the distance of the eyes."""
    right = across / _UNIT
    turn = np.array([[right[0], -right[1]], [right[1], right[0]]])
    shift = centre - turn @ np.full(2, _HALF_CROP)
    side = 2 * _HALF_CROP + 1
    crop = cv2.warpAffine(
        image,
        np.column_stack([turn, shift]),
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop / 255.0, dtype=np.float32)


def _opening(crop: NDArray[np.float32]) -> float:
    middle = _HALF_CROP
    cheek = crop[middle + _CHEEK[0] : middle + _CHEEK[1], middle - 14 : middle + 14]
    skin = np.asarray(np.median(cheek.reshape(-1, 3), axis=0), dtype=np.float32)
    eye = crop[
        middle - _HALF_HEIGHT : middle + _HALF_HEIGHT + 1,
        middle - _HALF_WIDTH : middle + _HALF_WIDTH + 1,
    ]
    of_skin = _blue_over_red(skin)
    is_grey = _blue_over_red(eye) > of_skin + _GREY * (1 - of_skin)
    is_bright = eye.mean(axis=-1) > max(_BRIGHT * float(skin.mean()), _BRIGHT_AT_ALL)
    rows = np.flatnonzero((is_grey & is_bright).any(axis=1))
    return float(rows[-1] - rows[0] + 1) / _UNIT if len(rows) else 0.0


def _blue_over_red(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(colours[..., 2] / np.maximum(colours[..., 0], 0.02), dtype=np.float32)
