"""Aligned as InsightFace aligns: judges, training and face analysis see the same crops."""

from __future__ import annotations

import warnings

import numpy as np

from models import CROP_LANDMARKS, align_face


def test_alignment_is_insightfaces() -> None:
    from insightface.utils.face_align import norm_crop

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (128, 128, 3)).astype(np.uint8)
    for scale in (0.4, 0.8, 1.3):
        landmarks = (CROP_LANDMARKS * scale + rng.normal(0, 2, (5, 2)) + 5).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it still calls skimage's deprecated estimate
            expected = norm_crop(image, landmarks)
        # The same matrix up to rounding: no pixel may differ by more than its last digit.
        assert np.abs(align_face(image, landmarks).astype(int) - expected.astype(int)).max() <= 1


def test_aligned_landmarks_land_on_the_template() -> None:
    image = np.zeros((128, 128, 3), np.uint8)
    landmarks = (CROP_LANDMARKS * 0.9 + 6).astype(np.float32)
    for x, y in landmarks.round().astype(int):
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
    crop = align_face(image, landmarks)
    for x, y in CROP_LANDMARKS.round().astype(int):
        assert crop[y, x].mean() > 128
