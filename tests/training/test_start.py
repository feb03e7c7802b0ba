"""Beginning from a bundle: what is taken over, and what training goes on from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import load_file

from models import BundleNotFound, open_bundle
from training.adapter import WEIGHT_NAME, split
from training.autoencoder import AutoencoderRecipe
from training.config import TEST
from training.data import Pictures
from training.denoiser import DenoiserRecipe, build_unet, recipe_from_cache
from training.mini import train_mini
from training.stages import RESULTS, Workshop
from training.start import START, StartMismatch, gentler, seed_cache, start_of

Sets = tuple[Pictures, Pictures]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle trained for a moment."""
    directory = tmp_path_factory.mktemp("bundle")
    return train_mini(
        preset="test", minutes=0.02, cache=directory / "cache", output=directory / "doll",
        device="cpu", threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seeded(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training cache that begins from it."""
    cache = tmp_path_factory.mktemp("seeded")
    seed_cache(bundle, cache)
    return cache


def test_what_reads_words_and_faces_counts_as_finished(bundle: Path, seeded: Path) -> None:
    finished = {stage for stage, result in RESULTS.items() if (seeded / result).exists()}
    assert finished == {
        "tokenizer", "clip", "recogniser", "judge-recogniser", "judge-attributes", "detector",
    }  # fmt: skip
    for name in ("faces/rec.onnx", "faces/det.onnx", "judges/judges.toml"):
        assert (seeded / name).read_bytes() == (bundle / name).read_bytes()


def test_weights_to_start_from_are_the_bundles_in_single_precision(
    bundle: Path, seeded: Path
) -> None:
    start = start_of(seeded, "denoiser")
    assert start is not None
    for theirs, mine in (
        (bundle / "ip-adapter" / WEIGHT_NAME, start / WEIGHT_NAME),
        (
            bundle / "clip" / "text_projection.safetensors",
            seeded / "clip" / "text_projection.safetensors",
        ),
    ):
        half, full = load_file(theirs), load_file(mine)
        assert all(value.dtype == torch.float32 for value in full.values())
        assert all(torch.equal(full[name], value.float()) for name, value in half.items())
    config = json.loads((seeded / "clip" / "text_encoder" / "config.json").read_text())
    assert config["dtype"] == "float32"


def test_a_denoiser_that_starts_from_a_bundle_splits_into_the_same(seeded: Path) -> None:
    start = start_of(seeded, "denoiser")
    assert start is not None
    base, weights = split(build_unet(TEST.denoiser, 8, TEST.size // 8, TEST.clip.width, start))
    given = load_file(start / WEIGHT_NAME)
    assert set(weights) == set(given)
    for name, value in given.items():
        assert torch.allclose(weights[name], value, rtol=1e-6), name
    plain = UNet2DConditionModel.from_pretrained(start / "unet").state_dict()
    assert all(torch.equal(value, plain[name]) for name, value in base.state_dict().items())


def test_an_autoencoder_that_starts_from_a_bundle_draws_the_same(
    bundle: Path, seeded: Path, few_pictures: Sets
) -> None:
    start = start_of(seeded, "autoencoder")
    recipe = AutoencoderRecipe(TEST.autoencoder, *few_pictures, start=start)
    theirs = AutoencoderTiny.from_pretrained(
        bundle / "pipeline" / "vae", torch_dtype=torch.float32
    ).eval()
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        assert torch.equal(recipe.build().eval()(picture).sample, theirs(picture).sample)
    assert recipe.schedule == gentler(TEST.autoencoder.schedule)
    assert recipe.schedule.learning_rate < TEST.autoencoder.schedule.learning_rate


def test_other_sizes_are_refused(seeded: Path, few_pictures: Sets) -> None:
    wider = replace(TEST.autoencoder, width=16)
    start = start_of(seeded, "autoencoder")
    with pytest.raises(StartMismatch, match="AutoencoderTiny"):
        AutoencoderRecipe(wider, *few_pictures, start=start).build()


def test_a_cache_that_begins_from_nothing_has_no_start(tmp_path: Path) -> None:
    assert start_of(tmp_path, "denoiser") is None


def test_what_is_finished_already_is_left_alone(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "rec.onnx").write_bytes(b"trained here")
    seed_cache(bundle, tmp_path)
    assert (tmp_path / "faces" / "rec.onnx").read_bytes() == b"trained here"
    assert (tmp_path / START / "denoiser" / WEIGHT_NAME).exists()


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match="nowhere"):
        train_mini(preset="test", cache=tmp_path, device="cpu", start_from="nowhere")


def test_the_text_tower_learns_along_and_is_held_to_clip(bundle: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    train_mini(preset="test", minutes=0.02, cache=cache, device="cpu", threads=1, start_from=bundle)
    workshop = Workshop(TEST, cache / f"test-{TEST.size}", "cpu", 1)
    recipe = _denoiser_recipe(workshop)
    drawing = recipe.build()
    batch = recipe.batch(np.random.default_rng(0))
    _, strayed = recipe.error(drawing, batch)
    assert float(strayed.detach()) == 0
    loss, _ = recipe.loss(drawing, batch, 0.0)
    loss.backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in drawing.words.parameters())
    assert all(p.grad is None for p in recipe.text_encoder.parameters())
    shipped = open_bundle(workshop.cache / "bundle").directory / "pipeline" / "text_encoder"
    mine, clips = (
        load_file(folder / "model.safetensors")
        for folder in (shipped, bundle / "pipeline" / "text_encoder")
    )
    assert any(not torch.equal(mine[name], clips[name]) for name in clips)


def _denoiser_recipe(workshop: Workshop) -> DenoiserRecipe:
    return recipe_from_cache(
        TEST.denoiser,
        workshop.pictures(),
        workshop.held_out(),
        workshop.tokenizer(),
        text_encoder=workshop.need("clip").parent / "text_encoder",
        latents=workshop.need("latents").parent,
        embeddings=workshop.need("embeddings").parent,
        start=start_of(workshop.cache, "denoiser"),
    )
