"""SDXL's two encoders: loaded as diffusers would load them, or refused by the part's name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline

from models import (
    Bundle,
    BundleCorrupt,
    Components,
    PipelineUnsupported,
    load_components,
    open_bundle,
)
from tests.models.loading import (
    WEIGHTS,
    by_diffusers,
    draw,
    edit_json,
    edit_weights,
    embedding,
    refused,
)

pytestmark = pytest.mark.filterwarnings(
    # diffusers' schedulers turn tensors into arrays as numpy 1 did
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import build_tiny_bundle

    return build_tiny_bundle(tmp_path_factory.mktemp("sdxl") / "tiny", family="sdxl", lora=True)


@pytest.fixture
def copied(sdxl: Path, tmp_path: Path) -> Bundle:
    """A copy to spoil behind the manifest's back."""
    for part in ("pipeline", "ip-adapter"):
        shutil.copytree(sdxl / part, tmp_path / part)
    return Bundle("spoiled", tmp_path, open_bundle(sdxl).manifest)


class TestFromABundle:
    def test_draws_what_diffusers_draws_lora_included(self, sdxl: Path) -> None:
        components = load_components(open_bundle(sdxl), device="cpu")
        assert components.has_identity
        assert components.identity_states(embedding()).shape == (1, 4, 64)
        ours = draw(components.pipeline(), embedding())
        theirs = by_diffusers(sdxl)
        assert np.abs(ours - draw(theirs, embedding())).max() <= 1e-4, "merged: equal to rounding"
        theirs.disable_lora()
        assert np.abs(ours - draw(theirs, embedding())).max() > 1e-3

    def test_the_second_tokenizer_pads_its_own_way(self, sdxl: Path) -> None:
        components = load_components(open_bundle(sdxl), device="cpu")
        pads = [tower.tokenizer.pad_token for tower in components.towers]
        assert pads == ["<|endoftext|>", "!"]
        assert components.tokenizer is components.towers[0].tokenizer

    @pytest.mark.parametrize("said", [True, False])
    def test_whether_zeros_stand_for_no_words_is_the_bundles(
        self, copied: Bundle, said: bool
    ) -> None:
        index = copied.directory / "pipeline" / "model_index.json"
        edit_json(index, force_zeros_for_empty_prompt=said)
        components = load_components(copied, device="cpu")
        assert components.zeroes is said
        assert components.pipeline().config.force_zeros_for_empty_prompt is said

    def test_weights_published_in_half_precision_only(self, copied: Bundle, sdxl: Path) -> None:
        """As `--variant fp16` leaves them: other file names, the same weights."""
        for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
            (file,) = (copied.directory / "pipeline" / part).glob("*.safetensors")
            file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
        ours = draw(load_components(copied, device="cpu").pipeline(), embedding())
        whole = load_components(open_bundle(sdxl), device="cpu")
        assert np.array_equal(ours, draw(whole.pipeline(), embedding()))

    def test_only_an_sdxl_in_fp16_upcasts(self, sdxl: Path, tiny_bundle: Path) -> None:
        taken = {
            name: Components.from_pipeline(pipeline)
            for name, pipeline in {
                "fp32": by_diffusers(sdxl),
                "fp16": load_components(open_bundle(sdxl), device="cpu").pipeline(),
                "sd15": load_components(open_bundle(tiny_bundle), device="cpu").pipeline(),
            }.items()
        }
        for name in ("fp16", "sd15"):
            taken[name].vae.half()
        assert [name for name, components in taken.items() if components.upcasts] == ["fp16"]


class TestFromAPipeline:
    def test_shares_the_pipelines_weights(self, sdxl: Path) -> None:
        pipeline = by_diffusers(sdxl)
        taken = Components.from_pipeline(pipeline)
        encoders = [tower.encoder for tower in taken.towers]
        assert encoders == [pipeline.text_encoder, pipeline.text_encoder_2]
        assert taken.zeroes
        assert np.array_equal(draw(taken.pipeline(), embedding()), draw(pipeline, embedding()))

    def test_every_encoders_weights_are_in_the_digest(self, sdxl: Path) -> None:
        first, second = (Components.from_pipeline(by_diffusers(sdxl, False)) for _ in range(2))
        with torch.no_grad():
            next(second.towers[1].encoder.parameters()).view(-1)[0] += 1e-3
        assert first.digest != second.digest

    @pytest.mark.parametrize("part", ["tokenizer_2", "text_encoder", "text_encoder_2"])
    def test_a_missing_encoder_is_named(self, sdxl: Path, part: str) -> None:
        pipeline = by_diffusers(sdxl, faceid=False)
        setattr(pipeline, part, None)
        with pytest.raises(PipelineUnsupported, match=rf"\.{part} is NoneType, expected CLIP"):
            Components.from_pipeline(pipeline)

    def test_a_refiner_is_refused(self, sdxl: Path) -> None:
        pipeline = StableDiffusionXLImg2ImgPipeline(**by_diffusers(sdxl, False).components)
        with pytest.raises(PipelineUnsupported, match="give a StableDiffusionPipeline or Stable"):
            Components.from_pipeline(pipeline)

    def test_an_inpainting_denoiser_is_refused(self, sdxl: Path) -> None:
        pipeline = by_diffusers(sdxl, faceid=False)
        pipeline.unet.register_to_config(in_channels=9)
        with pytest.raises(PipelineUnsupported, match=r"latent channels are 4 wide, .* takes 9"):
            Components.from_pipeline(pipeline)

    def test_a_denoiser_of_the_other_family_is_refused(self, sdxl: Path, tiny_bundle: Path) -> None:
        pipeline = load_components(open_bundle(tiny_bundle), device="cpu").pipeline()
        pipeline.unet = by_diffusers(sdxl, faceid=False).unet
        with pytest.raises(PipelineUnsupported, match="takes text_time beside text"):
            Components.from_pipeline(pipeline)

    def test_latents_with_a_mean_of_their_own_are_refused(self, sdxl: Path) -> None:
        pipeline = by_diffusers(sdxl, faceid=False)
        pipeline.vae.register_to_config(latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
        with pytest.raises(PipelineUnsupported, match="mean and deviation of their own"):
            Components.from_pipeline(pipeline)


class TestStrictness:
    @pytest.mark.parametrize("part", ["text_encoder_2", "tokenizer_2"])
    def test_a_missing_part_is_named(self, copied: Bundle, part: str) -> None:
        shutil.rmtree(copied.directory / "pipeline" / part)
        assert part in refused(copied)

    @pytest.mark.parametrize("part", ["text_encoder_2", "tokenizer_2"])
    def test_an_index_without_it(self, copied: Bundle, part: str) -> None:
        file = copied.directory / "pipeline" / "model_index.json"
        index = json.loads(file.read_text(encoding="utf-8"))
        del index[part]
        file.write_text(json.dumps(index), encoding="utf-8")
        assert f"{part} is None, expected CLIP" in refused(copied)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda weights: weights.pop("text_projection.weight"), "missing keys, the first text"),
            (lambda weights: weights.update(extra=torch.zeros(2)), "unexpected keys, the first ex"),
        ],
    )
    def test_keys_of_the_second_encoder(
        self, copied: Bundle, change: Callable[[dict[str, torch.Tensor]], object], said: str
    ) -> None:
        file = copied.directory / "pipeline" / "text_encoder_2" / "model.safetensors"
        edit_weights(file, change)
        message = refused(copied)
        assert said in message
        assert "text_encoder_2" in message

    def test_an_adapter_of_the_other_family(self, copied: Bundle, tiny_bundle: Path) -> None:
        shutil.copy(tiny_bundle / "ip-adapter" / WEIGHTS, copied.directory / "ip-adapter")
        assert "image_proj.norm.weight has shape [32], the denoiser needs [64]" in refused(copied)

    def test_an_index_of_another_pipeline(self, copied: Bundle) -> None:
        index = copied.directory / "pipeline" / "model_index.json"
        edit_json(index, _class_name="StableDiffusionXLImg2ImgPipeline")
        with pytest.raises(BundleCorrupt, match="StableDiffusionPipeline or StableDiffusionXLPipe"):
            load_components(copied, device="cpu")

    def test_pooled_text_of_another_width(self, copied: Bundle) -> None:
        file = copied.directory / "pipeline" / "unet" / "config.json"
        edit_json(file, addition_time_embed_dim=4)
        assert "pooled text and sizes are 48 wide, the denoiser takes 72" in refused(copied)
