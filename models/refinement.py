"""A second look at small faces: found in the whole picture, measured in a square of their own.

A detector places landmarks best on faces of the size it was trained on. A face that is small in
its input is cut out so that it lies as in training pictures, and detected again there.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_networks import FaceNetworks
from models.manifest import FacesSettings

# A face this much smaller than in training pictures, or more, is looked at again.
SMALL_SHARE = 0.7
# The second look must find the same face, not a neighbour.
LEAST_OVERLAP = 0.4


def confirmed(
    networks: FaceNetworks, image: NDArray[np.uint8], face: Any, settings: FacesSettings
) -> bool:
    """Whether a detection is a face; a small one's box, landmarks and embedding are corrected.

    networks: what found `face`, InsightFace's; image: uint8 BGR [height, width, 3].
    Without `placement` in the settings there is no second look, all is judged by the first.
    """
    if _is_small(image, face, settings) and not _look_again(networks, image, face, settings):
        return False
    return float(face.det_score) >= settings.confirm_score


def _is_small(image: NDArray[np.uint8], face: Any, settings: FacesSettings) -> bool:
    """Whether the face is much smaller in the detector's input than in training pictures."""
    if settings.placement is None:
        return False
    across, down = settings.detector_sizes[0]
    height, width = image.shape[:2]
    face_height = float(face.bbox[3] - face.bbox[1])
    in_input = face_height * min(across / width, down / height)
    return face_height >= 1 and in_input < SMALL_SHARE * settings.placement[2] * down


def _look_again(
    networks: FaceNetworks, image: NDArray[np.uint8], face: Any, settings: FacesSettings
) -> bool:
    """Detect the face again in a square of its own; False if it is not found there."""
    assert settings.placement is not None
    centre_x, centre_y, share = settings.placement
    down = settings.detector_sizes[0][1]
    x0, y0, x1, y1 = (float(value) for value in face.bbox)
    side = (y1 - y0) / share
    scale = down / side
    left, top = (x0 + x1) / 2 - centre_x * side, (y0 + y1) / 2 - centre_y * side
    matrix = np.array([[scale, 0.0, -left * scale], [0.0, scale, -top * scale]])
    square = cv2.warpAffine(
        image, matrix, (down, down), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    boxes, points = networks.detector.detect(square)
    corner = np.array([left, top])
    boxes_there = boxes[:, :4] / scale + np.tile(corner, 2)
    overlaps = [_overlap(box, face.bbox) for box in boxes_there]
    if not overlaps or max(overlaps) < LEAST_OVERLAP:
        return False
    best = int(np.argmax(overlaps))
    face.bbox = boxes_there[best].astype(np.float32)
    face.kps = (points[best] / scale + corner).astype(np.float32)
    face.det_score = float(boxes[best, 4])
    networks.recogniser.get(image, face)
    return True


def _overlap(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:4], other[2:4])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    areas = sum(float((box[2] - box[0]) * (box[3] - box[1])) for box in (one, other))
    return shared / max(areas - shared, 1e-9)
