"""The detector: what is asked of each anchor, and that scenes tell the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.anchors import Detections, anchor_table, assign, decode, detection_loss
from training.data import Pictures
from training.detector import INPUT_SIZE, Detector, DetectorRecipe, detection_figures, find_faces
from training.loop import train
from training.scenes import SceneComposer, letterbox

FACES = torch.tensor([[20.0, 30.0, 120.0, 160.0], [140.0, 20.0, 158.0, 44.0]])


def marked(pictures: Pictures) -> Pictures:
    """Black pictures with a white dot at the nose: where it goes, the landmark must go."""
    images = np.zeros_like(pictures.images)
    size = pictures.size
    y, x = np.mgrid[:size, :size] + 0.5
    for image, (nose_x, nose_y) in zip(images, pictures.landmarks[:, 2], strict=True):
        distance = np.hypot(x - nose_x, y - nose_y)
        image[:] = (np.clip(3.0 - distance, 0, 1) * 255).astype(np.uint8)[..., None]
    return replace(pictures, images=images)


def centroids(image: np.ndarray, near: np.ndarray, radius: float) -> np.ndarray:
    """Centre of brightness around each point, counted from pixel edges."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    found = []
    for point in near:
        weight = image.mean(2) * (np.hypot(x - point[0], y - point[1]) < radius)
        found.append([(x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()])
    return np.array(found)


@pytest.mark.parametrize("kind", ["portrait", "moved_portrait", "group"])
def test_landmarks_follow_the_pixels(kind: str, few_pictures: tuple[Pictures, Pictures]) -> None:
    composer = SceneComposer(marked(few_pictures[0]), [np.zeros((64, 64, 3), np.uint8)])
    rng = np.random.default_rng(3)
    checked = 0
    for _ in range(30):
        scene = composer.group(rng, 2) if kind == "group" else getattr(composer, kind)(rng)
        border = np.concatenate([scene.image[0], scene.image[-1], scene.image[:, 0]])
        noses = scene.landmarks[:, 2]
        inside = (noses > 6).all() and (noses < np.array(scene.image.shape[1::-1]) - 6).all()
        if border.max() > 0 or not inside:  # a coloured backdrop, or a nose out of sight
            continue
        boxed = letterbox(scene, INPUT_SIZE)
        scale = np.sqrt(np.prod(boxed.boxes[:, 2:] - boxed.boxes[:, :2], axis=1)).min() / 45
        seen = centroids(boxed.image, boxed.landmarks[:, 2], max(3.0, 6 * scale))
        assert np.abs(seen - boxed.landmarks[:, 2]).max() < 0.75
        checked += 1
    assert checked >= 3


def test_an_empty_scene_has_no_faces(few_pictures: tuple[Pictures, Pictures]) -> None:
    composer = SceneComposer(few_pictures[0], [np.full((64, 64, 3), 90, np.uint8)])
    for seed in range(8):
        scene = composer.empty(np.random.default_rng(seed))
        assert scene.boxes.shape == (0, 4)
        assert scene.landmarks.shape == (0, 5, 2)


def test_every_face_has_an_anchor_and_the_right_one() -> None:
    assignment = assign(FACES[None], torch.tensor([[True, True]]), INPUT_SIZE, INPUT_SIZE)
    corners, strides, _ = anchor_table(INPUT_SIZE, INPUT_SIZE)
    for face, stride in ((0, 32.0), (1, 8.0)):
        mine = assignment.positive[0] & (assignment.face[0] == face)
        assert mine.any()
        assert stride in strides[mine]
        centre = (FACES[face, :2] + FACES[face, 2:]) / 2
        assert ((corners[mine] - centre).abs() / strides[mine, None]).max() < 0.8


def test_no_face_means_no_positive_and_every_score_counts() -> None:
    nobody = assign(torch.zeros(1, 4, 4), torch.zeros(1, 4, dtype=torch.bool), 96, 96)
    assert not nobody.positive.any()
    assert nobody.counted.all()


def test_the_truth_has_hardly_any_loss() -> None:
    present = torch.tensor([[True, True]])
    points = torch.rand(1, 2, 5, 2, generator=torch.Generator().manual_seed(0)) * 100
    assignment = assign(FACES[None], present, INPUT_SIZE, INPUT_SIZE)
    logits = torch.where(assignment.positive, 20.0, -20.0)
    truth = Detections(logits, FACES[assignment.face], points[0][assignment.face])
    loss, figures = detection_loss(truth, FACES[None], points, assignment)
    assert loss < 1e-3
    assert figures["point_error"] < 1e-6
    worse = Detections(-logits, truth.boxes + 5, truth.points + 5)
    assert detection_loss(worse, FACES[None], points, assignment)[0] > 1.0


def test_detector_is_fully_convolutional_and_small() -> None:
    detector = Detector().eval()
    assert sum(p.numel() for p in detector.parameters()) < 600_000
    for height, width in ((192, 192), (64, 128)):
        found = decode(detector(torch.zeros(2, 3, height, width)))
        anchors = sum(2 * (height // s) * (width // s) for s in (8, 16, 32))
        assert found.logits.shape == (2, anchors)
        assert found.boxes.shape == (2, anchors, 4)
        assert found.points.shape == (2, anchors, 5, 2)


def test_an_untrained_detector_finds_nothing(few_pictures: tuple[Pictures, Pictures]) -> None:
    torch.manual_seed(0)
    found = find_faces(Detector().eval(), np.asarray(few_pictures[0].images[0]))
    assert found.boxes.shape == (0, 4)
    composer = SceneComposer(few_pictures[0], [np.zeros((64, 64, 3), np.uint8)])
    scenes = [composer.portrait(np.random.default_rng(0))]
    assert detection_figures(Detector().eval(), scenes)["found"] == 0.0


def test_a_few_steps_lower_the_loss(
    few_pictures: tuple[Pictures, Pictures], tmp_path: Path
) -> None:
    recipe = DetectorRecipe(*few_pictures, evaluated_scenes=4)
    schedule = replace(recipe.schedule, batch_size=4, warmup_steps=1, ema_decay=0.8)
    recipe = replace(recipe, schedule=schedule)
    batch = recipe.batch(np.random.default_rng(5))
    torch.manual_seed(recipe.schedule.seed)
    before, _ = recipe.loss(recipe.build(), batch, 0.0)
    trained = train(recipe, tmp_path, steps=30, threads=1)
    after, _ = recipe.loss(trained.model, batch, 1.0)
    assert after < before
    assert set(trained.figures) >= {"portrait_found", "group_found", "group_landmark_error"}
