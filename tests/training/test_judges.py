"""The judges: independent of what they judge, and honest about what a picture does not show."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.attribute_judge import (
    AttributeJudge,
    AttributeJudgeRecipe,
    balanced_accuracy,
    heads_loss,
    shift_and_scale,
    split_heads,
    write_judges_manifest,
)
from training.data import HEADS, UNSEEN, Pictures
from training.judge_recogniser import JudgeRecogniser, JudgeRecogniserRecipe
from training.loop import train
from training.recogniser import Recogniser, RecogniserRecipe, Residual


def test_the_judge_of_identity_is_another_network(
    few_pictures: tuple[Pictures, Pictures],
) -> None:
    judge, conditioner = (
        {type(part) for part in network.modules()} for network in (JudgeRecogniser(), Recogniser())
    )
    assert Residual in conditioner - judge
    assert {torch.nn.MaxPool2d, torch.nn.SiLU, torch.nn.PixelUnshuffle} <= judge - conditioner
    judging, conditioning = JudgeRecogniserRecipe(*few_pictures), RecogniserRecipe(*few_pictures)
    assert judging.schedule.seed != conditioning.schedule.seed
    assert (judging.margin_angle, judging.margin_cosine) != (
        conditioning.margin_angle,
        conditioning.margin_cosine,
    )


def test_the_judge_of_identity_knows_only_some_of_the_people(
    few_pictures: tuple[Pictures, Pictures],
) -> None:
    recipe = JudgeRecogniserRecipe(*few_pictures, people_share=0.5)
    known = recipe.people()
    assert len(known) == recipe.pictures.person_count // 2
    assert np.array_equal(known, recipe.people())
    classes = recipe.batch(np.random.default_rng(0))["people"]
    assert int(classes.max()) < len(known)


def test_judge_of_identity_gives_512_numbers() -> None:
    judge = JudgeRecogniser().eval()
    assert sum(p.numel() for p in judge.parameters()) < 900_000
    assert judge(torch.zeros(2, 3, 112, 112)).shape == (2, 512)


def test_answers_that_are_not_shown_do_not_count() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, sum(map(len, HEADS.values())), requires_grad=True)
    labels = torch.zeros(4, len(HEADS), dtype=torch.int64)
    hair = list(HEADS).index("hair")
    labels[:, hair] = UNSEEN
    loss, _ = heads_loss(logits, labels)
    loss.backward()
    assert logits.grad is not None
    gradients = split_heads(logits.grad)
    assert torch.isfinite(loss)
    assert gradients["hair"].abs().max() == 0
    assert gradients["hat"].abs().max() > 0


def test_balanced_accuracy_weighs_classes_alike() -> None:
    truth = np.array([0] * 90 + [1] * 10 + [UNSEEN] * 50)
    always_zero = np.zeros(150, np.int64)
    assert balanced_accuracy(always_zero, truth) == 0.5
    assert balanced_accuracy(np.maximum(truth, 0), truth) == 1.0


def test_heads_are_split_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    write_judges_manifest(tmp_path)
    manifest = tomllib.loads((tmp_path / "judges.toml").read_text("utf-8"))
    assert {name: tuple(names) for name, names in manifest["attributes"]["heads"].items()} == dict(
        HEADS
    )
    assert list(manifest["attributes"]["heads"]) == list(HEADS)
    logits = torch.arange(sum(map(len, HEADS.values()))).float()[None]
    joined = torch.cat(list(split_heads(logits).values()), dim=1)
    assert torch.equal(joined, logits)
    assert manifest["recogniser"]["file"] == "recogniser.onnx"


def test_shifting_by_nothing_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    assert np.array_equal(shift_and_scale(image, rng, 0.0, 0.0), image)
    assert shift_and_scale(image, rng, 0.1, 0.1).shape == image.shape


def test_the_judge_of_attributes_is_small() -> None:
    judge = AttributeJudge().eval()
    assert sum(p.numel() for p in judge.parameters()) < 500_000
    assert judge(torch.zeros(1, 3, 128, 128)).shape == (1, sum(map(len, HEADS.values())))


@pytest.mark.parametrize("kind", [AttributeJudgeRecipe, JudgeRecogniserRecipe])
def test_a_few_steps_lower_a_judges_loss(
    kind: type[AttributeJudgeRecipe] | type[JudgeRecogniserRecipe],
    few_pictures: tuple[Pictures, Pictures],
    tmp_path: Path,
) -> None:
    recipe = kind(*few_pictures)
    schedule = replace(recipe.schedule, batch_size=12, warmup_steps=1, ema_decay=0.8)
    recipe = replace(recipe, schedule=schedule)
    batch = recipe.batch(np.random.default_rng(5))
    torch.manual_seed(recipe.schedule.seed)
    before, _ = recipe.loss(recipe.build(), batch, 0.0)
    trained = train(recipe, tmp_path, steps=24, threads=1)
    after, _ = recipe.loss(trained.model, batch, 0.0)
    assert after < before
    assert trained.figures
