"""From pictures to a sealed bundle that diffusers loads, at doll's house sizes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from models import DeviceUnavailable, open_bundle, verify_bundle
from training import export
from training.adapter import EMBEDDING_SCALE, WEIGHT_NAME, split
from training.autoencoder import AutoencoderRecipe, face_weights, inside_faces
from training.clip import ClipRecipe, tokenize
from training.config import MINI, TEST
from training.data import Pictures
from training.denoiser import (
    build_scheduler,
    build_unet,
    recipe_from_cache,
    sample_timesteps,
)
from training.export import export_drawing
from training.loop import Recipe, train
from training.mini import UnknownStage, train_mini
from training.progress import Progress
from training.stages import RESULTS, STAGES, StageMissing, Workshop

Sets = tuple[Pictures, Pictures]


def quiet(progress: Progress) -> None:
    """No output."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Every stage run by `train_mini`, for a few steps each, up to the sealed bundle."""
    cache = tmp_path_factory.mktemp("cache")
    train_mini(preset="test", minutes=0.02, cache=cache, device="cpu", threads=1)
    return Workshop(TEST, cache / f"test-{TEST.size}", "cpu", 1)


def first_and_last_loss(recipe: Recipe, directory: Path, steps: int) -> tuple[float, float]:
    """Mean loss on the same three batches before and after."""

    def mean_loss(model: torch.nn.Module) -> float:
        rng = np.random.default_rng(5)
        with torch.no_grad():
            return float(
                np.mean([float(recipe.loss(model, recipe.batch(rng), 0.0)[0]) for _ in range(3)])
            )

    torch.manual_seed(recipe.schedule.seed)
    before = mean_loss(recipe.build().eval())
    return before, mean_loss(train(recipe, directory, steps=steps, report=quiet).model)


def test_the_autoencoder_learns(few_pictures: Sets, tmp_path: Path) -> None:
    before, after = first_and_last_loss(
        AutoencoderRecipe(TEST.autoencoder, *few_pictures), tmp_path, 40
    )
    assert after < 0.7 * before


def test_a_perceptual_term_reaches_the_loss(few_pictures: Sets) -> None:
    recipe = AutoencoderRecipe(TEST.autoencoder, *few_pictures, features=lambda images: [images])
    loss, figures = recipe.loss(recipe.build(), recipe.batch(np.random.default_rng(0)), 0.0)
    assert figures["perceptual"] > 0
    loss.backward()


def test_clip_learns_and_pools_at_the_end(
    workshop: Workshop, few_pictures: Sets, tmp_path: Path
) -> None:
    recipe = ClipRecipe(TEST.clip, *few_pictures, workshop.tokenizer())
    before, after = first_and_last_loss(recipe, tmp_path, 30)
    assert after < before
    clip = recipe.build().clip
    ids = tokenize(recipe.tokenizer, ["smiling, glasses"])
    end = int((ids[0] == recipe.tokenizer.eos_token_id).int().argmax())
    out = clip.text_model(input_ids=ids)
    assert torch.equal(out.pooler_output[0], out.last_hidden_state[0, end])


def test_the_text_tower_is_causal(workshop: Workshop, few_pictures: Sets) -> None:
    recipe = ClipRecipe(TEST.clip, *few_pictures, workshop.tokenizer())
    text = recipe.build().clip.text_model.eval()
    ids = tokenize(recipe.tokenizer, ["portrait of a man, age 40, hat"])
    other = ids.clone()
    other[0, 6:] = 7
    with torch.no_grad():
        mine, theirs = (text(input_ids=x).last_hidden_state for x in (ids, other))
    assert torch.equal(mine[0, :6], theirs[0, :6])
    assert not torch.equal(mine[0, 6:], theirs[0, 6:])


def test_the_denoiser_learns(workshop: Workshop, tmp_path: Path) -> None:
    recipe = recipe_from_cache(
        TEST.denoiser,
        workshop.pictures(),
        workshop.held_out(),
        workshop.tokenizer(),
        text_encoder=workshop.need("clip").parent / "text_encoder",
        latents=workshop.need("latents").parent,
        embeddings=workshop.need("embeddings").parent,
    )
    before, after = first_and_last_loss(recipe, tmp_path, 60)
    assert after < 0.9 * before


def test_latents_have_unit_spread(workshop: Workshop) -> None:
    latents = np.load(workshop.result("latents"))
    assert latents.dtype == np.float16
    assert latents.astype(np.float32).std() == pytest.approx(1.0, abs=0.05)


def test_a_split_adapter_loads_natively_and_draws_the_same() -> None:
    torch.manual_seed(0)
    joint = build_unet(TEST.denoiser, 8, 8, 32)
    with torch.no_grad():
        for parameter in joint.parameters():
            parameter.normal_(std=0.1)
    base, weights = split(joint)
    assert base.config["encoder_hid_dim_type"] is None
    parts: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, value in weights.items():
        part, _, name = key.partition(".")
        parts[part][name] = value
    base._load_ip_adapter_weights([parts], low_cpu_mem_usage=False)
    sample, states, times = torch.randn(2, 8, 8, 8), torch.randn(2, 77, 32), torch.tensor([5, 900])
    embedding = torch.nn.functional.normalize(torch.randn(2, 1, 512), dim=-1)
    embedding[1] = 0  # the negative branch

    def predict(unet: UNet2DConditionModel, scale: float) -> torch.Tensor:
        conditions = {"image_embeds": [scale * embedding]}
        with torch.no_grad():
            return unet(sample, times, states, added_cond_kwargs=conditions).sample

    assert torch.allclose(predict(joint, EMBEDDING_SCALE), predict(base, 1.0), atol=1e-5)


def test_the_pipeline_loads_and_an_identity_changes_the_picture(
    workshop: Workshop, tmp_path: Path
) -> None:
    adapter = workshop.result("denoiser")
    weights = load_file(adapter)
    # a few steps teach no identity: what matters here is that it arrives
    for key in weights:
        if key.endswith("to_v_ip.weight"):
            weights[key] *= 20
    save_file(weights, adapter)
    unet = UNet2DConditionModel.from_pretrained(adapter.parent / "unet")
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if name.endswith(("proj_out.weight", "conv_out.weight")):
                parameter.normal_(std=0.2)
    unet.save_pretrained(adapter.parent / "unet")
    export_drawing(workshop.cache, tmp_path)
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "pipeline", dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_ip_adapter(
        str(tmp_path / "ip-adapter"),
        subfolder="",
        weight_name=WEIGHT_NAME,
        image_encoder_folder=None,
    )

    def draw(axis: int) -> np.ndarray:
        embedding = torch.zeros(2, 1, 512)
        embedding[1, 0, axis] = 1
        images = pipe(
            "portrait of a man, hat",
            num_inference_steps=2,
            guidance_scale=2.0,
            ip_adapter_image_embeds=[embedding],
            generator=torch.Generator().manual_seed(0),
            output_type="np",
        ).images
        return np.asarray(images[0])

    one, other = draw(0), draw(1)
    assert one.shape == (TEST.size, TEST.size, 3)
    assert np.isfinite(one).all()
    assert np.array_equal(one, draw(0))
    assert not np.array_equal(one, other)


def test_finished_stages_leave_their_results_and_figures(workshop: Workshop) -> None:
    assert set(RESULTS) == set(STAGES)
    for result in RESULTS.values():
        assert (workshop.cache / result).exists()
    figures = json.loads((workshop.cache / "runs" / "denoiser" / "held-out.json").read_text())
    assert set(figures) == {"error", "without identity", "stranger", "without words"}


def test_the_exported_bundle_verifies(workshop: Workshop) -> None:
    bundle = open_bundle(workshop.cache / "bundle")
    verify_bundle(bundle)
    assert bundle.manifest.size == TEST.size
    configs = [path.read_text() for path in bundle.directory.rglob("config.json")]
    assert not any(str(workshop.cache) in text for text in configs), "a folder of this machine"
    assert {part.name for part in bundle.manifest.component} == {
        "pipeline", "ip-adapter", "faces", "clip", "judges",
    }  # fmt: skip


def test_an_export_that_fails_leaves_the_good_bundle(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "bundle"
    shutil.copytree(workshop.cache / "bundle", output)
    monkeypatch.setattr(export, "LARGEST_BUNDLE_BYTES", 1)
    with pytest.raises(export.BundleTooLarge):
        export.export_bundle(TEST, workshop.cache, output)
    verify_bundle(open_bundle(output))
    assert list(tmp_path.iterdir()) == [output]


def test_an_export_keeps_the_card_and_replaces_the_rest(workshop: Workshop, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    shutil.copytree(workshop.cache / "bundle", output)
    (output / "card.json").write_text("{}")
    (output / "notes" / "faces").mkdir(parents=True)
    (output / "faces" / "stale.onnx").write_bytes(b"old")
    export.export_bundle(TEST, workshop.cache, output)
    verify_bundle(open_bundle(output))
    assert (output / "card.json").read_text() == "{}"
    assert (output / "notes" / "faces").is_dir()
    assert not (output / "faces" / "stale.onnx").exists()
    assert list(tmp_path.iterdir()) == [output]


def test_finished_stages_are_skipped(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    train_mini(preset="test", cache=workshop.cache.parent, device="cpu", threads=1)
    assert capsys.readouterr().out == ""


def test_a_stage_that_lacks_its_input_says_which(tmp_path: Path) -> None:
    with pytest.raises(StageMissing, match="autoencoder"):
        Workshop(TEST, tmp_path).need("autoencoder")


def test_an_unknown_stage_or_preset_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownStage, match="denoiser"):
        train_mini(only="denoizer", cache=tmp_path)
    with pytest.raises(UnknownStage, match="mini"):
        train_mini(preset="maxi", cache=tmp_path)


def test_a_device_nobody_has_is_refused_before_any_stage(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="banana"):
        train_mini(preset="test", device="banana", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_mini_denoiser_fits_its_budget() -> None:
    base, weights = split(build_unet(MINI.denoiser, 8, 16, MINI.clip.width))
    count = sum(p.numel() for p in base.parameters()) + sum(w.numel() for w in weights.values())
    assert count < 6.6e6


def test_stage_shares_spend_the_whole_budget() -> None:
    assert sum(MINI.shares.values()) == pytest.approx(1.0)
    assert replace(MINI, minutes=10).stage_minutes("denoiser") == pytest.approx(4.8)


def test_face_weights_peak_at_the_eyes() -> None:
    landmarks = np.array([[[10, 12], [22, 12], [16, 18], [12, 24], [20, 24]]], np.float32)
    weights = face_weights(landmarks, 32, 3.0)[0, 0]
    assert weights[12, 10] > 2.9
    assert weights[31, 31] == pytest.approx(1.0, abs=0.05)


def test_times_cover_the_range_and_the_schedule_ends_in_noise() -> None:
    times = sample_timesteps(np.random.default_rng(0), 20_000, 0.1)
    assert times.min() < 20
    assert times.max() > 980
    assert build_scheduler().alphas_cumprod[-1] < 1e-6


def test_the_whole_face_weighs_more_than_what_is_around_it() -> None:
    boxes = np.array([[4, 2, 12, 14], [0, 0, 4, 4]], np.float32)
    weights = inside_faces(boxes, 16, 4.0)
    wider = inside_faces(boxes, 16, 4.0, reach=1.25)
    assert weights.shape == (2, 1, 16, 16)
    assert weights[0, 0, 8, 8] == 4
    assert weights[0, 0, 2, 4] == 1, "the box's corner lies outside the face's ellipse"
    assert (weights[0, 0, 8, 3], wider[0, 0, 8, 3]) == (1, 4), "an earring hangs beside the box"
    assert weights[1, 0, 2, 2] == 4
    assert weights[1, 0, 8, 8] == 1


def test_a_lower_mean_logit_draws_less_noisy_times() -> None:
    even, calm = (sample_timesteps(np.random.default_rng(0), 4000, 0.1, m) for m in (0.0, -0.4))
    assert calm.mean() < even.mean() - 50
    assert calm.min() >= 0
    assert calm.max() <= 999
