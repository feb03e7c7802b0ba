"""The recogniser, its margin and its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models import CROP_LANDMARKS
from training.augmentation import Degradation, degrade, relight, to_network
from training.data import Pictures
from training.landmarks import jitter_landmarks
from training.loop import train
from training.recogniser import Recogniser, RecogniserRecipe, training_crops
from training.verification import MarginClassifier, verification_figures


def test_jitter_is_bounded_by_the_eye_distance() -> None:
    rng = np.random.default_rng(0)
    moved = np.stack([jitter_landmarks(CROP_LANDMARKS, rng, 0.03) for _ in range(400)])
    deviation = (moved - CROP_LANDMARKS).std()
    assert 0.2 < deviation < 0.03 * 35.3


@pytest.mark.parametrize(
    "chances",
    [Degradation(1, 0, 0), Degradation(0, 1, 0), Degradation(0, 0, 1), Degradation(0, 0, 0)],
)
def test_damage_keeps_shape_and_much_of_the_picture(
    chances: Degradation, few_pictures: tuple[Pictures, Pictures]
) -> None:
    image = np.asarray(few_pictures[0].images[0])
    damaged = degrade(image, np.random.default_rng(1), chances)
    assert damaged.shape == image.shape
    assert damaged.dtype == np.uint8
    error = np.abs(damaged.astype(float) - image).mean()
    assert error < 12
    assert (error == 0) == (chances == Degradation(0, 0, 0))


def test_relighting_by_nothing_is_the_networks_range() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    plain = to_network(images)
    assert torch.equal(relight(images, np.random.default_rng(0), 0.0), plain)
    assert float(plain.min()) >= -1.0
    assert float(plain.max()) <= 1.0
    np.testing.assert_allclose(
        plain.permute(0, 2, 3, 1).numpy(), (images - 127.5) / 127.5, atol=1e-6
    )


def test_the_margin_makes_the_task_harder() -> None:
    torch.manual_seed(0)
    embeddings, people = torch.randn(8, 512), torch.arange(8)
    for angle, cosine in ((0.3, 0.0), (0.0, 0.3)):
        classifier = MarginClassifier(8, angle=angle, cosine=cosine, scale=24.0)
        easy, _ = classifier(embeddings, people, ramp=0.0)
        hard, _ = classifier(embeddings, people, ramp=1.0)
        assert hard > easy


def test_the_margin_survives_embeddings_on_the_far_side() -> None:
    classifier = MarginClassifier(4, angle=0.3, cosine=0.0, scale=24.0)
    embeddings = (-classifier.class_embeddings.detach()).requires_grad_()
    loss, accuracy = classifier(embeddings, torch.arange(4), ramp=1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(embeddings.grad).all()
    assert accuracy == 0


def test_figures_of_a_perfect_and_of_a_blind_recogniser() -> None:
    people = np.repeat(np.arange(40), 3)
    perfect = np.eye(512)[people]
    figures = verification_figures(perfect, people)
    assert figures["auc"] == 1.0
    assert figures["tar_at_far_1e-3"] == 1.0
    blind = verification_figures(np.random.default_rng(0).normal(size=(120, 512)), people)
    assert blind["auc"] == pytest.approx(0.5, abs=0.1)
    assert blind["tar_at_far_1e-3"] < 0.1
    assert blind["impostor_mean"] == pytest.approx(0.0, abs=0.01)
    same = verification_figures(np.ones((120, 8)), people)
    assert same["auc"] == 0.5  # ties count half


def test_groups_limit_the_impostors() -> None:
    people = np.repeat(np.arange(20), 3)
    group = people % 2
    embeddings = np.eye(8)[group] + 0.01 * np.random.default_rng(0).normal(size=(60, 8))
    everyone = verification_figures(embeddings, people)
    alike = verification_figures(embeddings, people, group)
    assert alike["impostor_mean"] > everyone["impostor_mean"]
    assert alike["auc"] < everyone["auc"]


def test_recogniser_is_small_and_gives_512_numbers() -> None:
    recogniser = Recogniser().eval()
    assert sum(p.numel() for p in recogniser.parameters()) <= 1_200_000
    assert recogniser(torch.zeros(2, 3, 112, 112)).shape == (2, 512)


def test_crops_depend_on_the_generator_alone(few_pictures: tuple[Pictures, Pictures]) -> None:
    recipe = RecogniserRecipe(*few_pictures)
    first, again, other = (
        training_crops(
            recipe.pictures, np.arange(6), np.random.default_rng(seed), recipe.augmentation
        )
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_few_steps_lower_the_loss(
    few_pictures: tuple[Pictures, Pictures], tmp_path: Path
) -> None:
    recipe = RecogniserRecipe(*few_pictures)
    schedule = replace(recipe.schedule, batch_size=12, warmup_steps=1, ema_decay=0.8)
    recipe = replace(recipe, schedule=schedule, margin_angle=0.0)
    rng = np.random.default_rng(5)
    batch = recipe.batch(rng)
    torch.manual_seed(recipe.schedule.seed)
    before, _ = recipe.loss(recipe.build(), batch, 1.0)
    trained = train(recipe, tmp_path, steps=24, threads=1)
    after, _ = recipe.loss(trained.model, batch, 1.0)
    assert after < before - 0.2
    assert 0.0 <= trained.figures["auc"] <= 1.0
    assert "auc_noisy_landmarks" in trained.figures
