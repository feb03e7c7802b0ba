"""Five landmarks to the 112 x 112 crop every ArcFace recogniser expects.

Equals `insightface.utils.face_align.norm_crop` (tests/models/test_alignment.py): what a recogniser
or a judge sees in training and in measuring is what face analysis will feed it.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

CROP_SIZE: Final = 112  # pixels of a side

# Left eye, right eye, nose, mouth corners (image left, image right) in pixels of the crop.
CROP_LANDMARKS: NDArray[np.float64] = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)


def similarity(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """The similarity that carries landmarks onto the crop, least squares (Umeyama 1991).

    landmarks: [5, 2] pixels. Returns float64 [2, 3], as `cv2.warpAffine` takes it.
    In the plane, with no reflection, Umeyama's solution has this closed form.
    """
    points = np.asarray(landmarks, np.float64)
    centre, crop_centre = points.mean(0), CROP_LANDMARKS.mean(0)
    source, target = points - centre, CROP_LANDMARKS - crop_centre
    spread = max(float((source**2).sum()), 1e-12)
    cosine = float((source * target).sum()) / spread
    sine = float((source[:, 0] * target[:, 1] - source[:, 1] * target[:, 0]).sum()) / spread
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    return np.concatenate([rotation, (crop_centre - rotation @ centre)[:, None]], axis=1)


def align_face(image: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Crop the face of an image: uint8 [height, width, 3] to uint8 [112, 112, 3], black outside."""
    crop = cv2.warpAffine(image, similarity(landmarks), (CROP_SIZE, CROP_SIZE), borderValue=0.0)
    return np.asarray(crop, np.uint8)
