"""What is loaded is what diffusers would load, to the last bit, or it is refused by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from diffusers.models.embeddings import ImageProjection, MultiIPAdapterImageProjection
from safetensors.torch import load_file

from models import (
    Bundle,
    Components,
    PipelineUnsupported,
    load_components,
    open_bundle,
    quiet_libraries,
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


@pytest.fixture(scope="module")
def components(tiny_bundle: Path) -> Components:
    return load_components(open_bundle(tiny_bundle), device="cpu")


@pytest.fixture(scope="module")
def lora_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import build_tiny_bundle

    return build_tiny_bundle(tmp_path_factory.mktemp("lora") / "tiny", lora=True)


@pytest.fixture
def copied(tiny_bundle: Path, tmp_path: Path) -> Callable[[], Bundle]:
    """A copy to spoil, then given as opened: what the manifest's digests would have told."""
    shutil.copytree(tiny_bundle / "pipeline", tmp_path / "pipeline")
    shutil.copytree(tiny_bundle / "ip-adapter", tmp_path / "ip-adapter")
    manifest = open_bundle(tiny_bundle).manifest
    return lambda: Bundle("spoiled", tmp_path, manifest)


class TestFromABundle:
    def test_draws_what_diffusers_draws(self, components: Components, tiny_bundle: Path) -> None:
        ours = draw(components.pipeline(), embedding())
        assert np.array_equal(ours, draw(by_diffusers(tiny_bundle, faceid=True), embedding()))

    def test_the_identity_matters(self, components: Components) -> None:
        pictures = [draw(components.pipeline(), embedding(seed)) for seed in (0, 1)]
        assert np.abs(pictures[0] - pictures[1]).max() > 1e-4

    def test_lora_is_applied_as_diffusers_does(self, lora_bundle: Path) -> None:
        """diffusers computes it beside the weights, we merge it: equal to rounding."""
        loaded = load_components(open_bundle(lora_bundle), device="cpu")
        ours = draw(loaded.pipeline(), embedding())
        theirs = by_diffusers(lora_bundle, faceid=True)
        assert np.abs(ours - draw(theirs, embedding())).max() <= 1e-4
        theirs.disable_lora()
        assert np.abs(ours - draw(theirs, embedding())).max() > 1e-3

    def test_lora_brings_no_layers_of_pefts(self, lora_bundle: Path) -> None:
        loaded = load_components(open_bundle(lora_bundle), device="cpu")
        assert not hasattr(loaded.unet, "peft_config")
        kinds = {type(module).__module__ for module in loaded.unet.modules()}
        assert not [kind for kind in kinds if kind.startswith("peft")]

    def test_without_an_adapter(self, tiny_bundle: Path) -> None:
        bundle = open_bundle(tiny_bundle)
        parts = tuple(part for part in bundle.manifest.component if part.name != "ip-adapter")
        manifest = bundle.manifest.model_copy(update={"component": parts})
        plain = load_components(Bundle("plain", bundle.directory, manifest), device="cpu")
        assert not plain.has_identity
        assert plain.identity_tokens == 0
        with pytest.raises(PipelineUnsupported, match="no FaceID"):
            plain.identity_states(embedding())
        ours = draw(plain.pipeline(), None)
        assert np.array_equal(ours, draw(by_diffusers(tiny_bundle, faceid=False), None))

    def test_what_it_says_of_itself(self, components: Components) -> None:
        assert components.has_identity
        assert (components.image_size, components.scale_factor) == (128, 8)
        assert (components.device.type, components.dtype) == ("cpu", torch.float32)
        for module in (components.unet, components.vae, components.text_encoder):
            assert not module.training
            assert not any(weight.requires_grad for weight in module.parameters())
            assert {weight.dtype for weight in module.parameters()} == {torch.float32}

    def test_identity_states_are_the_denoisers_own(self, components: Components) -> None:
        states = components.identity_states(torch.cat([embedding(0), embedding(1)]))
        assert states.shape == (2, 4, 32)
        own = components.unet.encoder_hid_proj([embedding(1)[:, None]])[0]
        torch.testing.assert_close(states[1], own[0, 0], atol=1e-5, rtol=0)

    def test_bfloat16_for_the_asking(self, tiny_bundle: Path, components: Components) -> None:
        half = load_components(open_bundle(tiny_bundle), device="cpu", precision="bf16")
        assert half.dtype is torch.bfloat16
        assert {weight.dtype for weight in half.unet.parameters()} == {torch.bfloat16}
        assert half.digest != components.digest

    def test_schedulers_are_never_shared(self, components: Components) -> None:
        first, second = components.new_scheduler(), components.new_scheduler()
        first.set_timesteps(7)
        assert type(first) is DDIMScheduler
        assert second.num_inference_steps is None
        assert components.scheduler.num_inference_steps is None

    def test_nothing_is_printed(self, tiny_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
        load_components(open_bundle(tiny_bundle), device="cpu")
        assert capfd.readouterr() == ("", "")


class TestFromAPipeline:
    def test_shares_the_pipelines_weights(self, tiny_bundle: Path) -> None:
        pipeline = by_diffusers(tiny_bundle, faceid=True)
        taken = Components.from_pipeline(pipeline)
        assert taken.unet is pipeline.unet
        assert taken.has_identity
        assert taken.image_size == 128
        assert np.array_equal(draw(taken.pipeline(), embedding()), draw(pipeline, embedding()))

    def test_without_an_adapter(self, tiny_bundle: Path) -> None:
        assert not Components.from_pipeline(by_diffusers(tiny_bundle, faceid=False)).has_identity

    def test_the_digest_is_of_the_weights(self, tiny_bundle: Path) -> None:
        first, second = (
            Components.from_pipeline(by_diffusers(tiny_bundle, faceid=True)) for _ in range(2)
        )
        with torch.no_grad():
            next(second.unet.parameters()).view(-1)[0] += 1e-3
        third = Components.from_pipeline(by_diffusers(tiny_bundle, faceid=True))
        assert first.digest == third.digest != second.digest

    def test_another_family_is_refused(self, tiny_bundle: Path) -> None:
        pipeline = by_diffusers(tiny_bundle, faceid=False)
        pipeline.unet = AutoencoderKL()
        with pytest.raises(PipelineUnsupported, match=r"\.unet is AutoencoderKL"):
            Components.from_pipeline(pipeline)
        with pytest.raises(PipelineUnsupported, match="StableDiffusionPipeline"):
            Components.from_pipeline("a pipeline")

    def test_an_inpainting_denoiser_is_refused(self, tiny_bundle: Path) -> None:
        pipeline = by_diffusers(tiny_bundle, faceid=False)
        pipeline.unet.register_to_config(in_channels=9)
        with pytest.raises(PipelineUnsupported, match="takes 9"):
            Components.from_pipeline(pipeline)

    def test_two_text_encoders_are_refused(self, tiny_bundle: Path) -> None:
        pipeline = by_diffusers(tiny_bundle, faceid=False)
        pipeline.text_encoder_2 = pipeline.text_encoder
        with pytest.raises(PipelineUnsupported, match="two text encoders"):
            Components.from_pipeline(pipeline)

    def test_an_adapter_that_is_not_faceid_is_refused(self, tiny_bundle: Path) -> None:
        pipeline = by_diffusers(tiny_bundle, faceid=True)
        projection = MultiIPAdapterImageProjection([ImageProjection(cross_attention_dim=32)])
        pipeline.unet.encoder_hid_proj = projection
        with pytest.raises(PipelineUnsupported, match="ImageProjection"):
            Components.from_pipeline(pipeline)

    def test_two_adapters_are_refused(self, tiny_bundle: Path) -> None:
        pipeline = by_diffusers(tiny_bundle, faceid=False)
        with quiet_libraries():
            pipeline.load_ip_adapter(
                tiny_bundle,
                subfolder="ip-adapter",
                weight_name=[WEIGHTS, WEIGHTS],
                image_encoder_folder=None,
            )
        with pytest.raises(PipelineUnsupported, match="one IP-Adapter FaceID or none"):
            Components.from_pipeline(pipeline)


class TestStrictness:
    """Spoiled behind the manifest's back: the loader's own checks."""

    def unet(self, bundle: Bundle) -> Path:
        return bundle.directory / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors"

    def test_a_missing_weight(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        edit_weights(self.unet(bundle), lambda weights: [weights.pop("conv_in.bias")])
        assert "conv_in.bias" in refused(bundle)

    def test_a_weight_too_many(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        edit_weights(self.unet(bundle), lambda weights: weights.update(extra=torch.zeros(2)))
        assert "unexpected keys, the first extra" in refused(bundle)

    def test_a_weight_of_another_shape(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        wrong = {"conv_in.bias": torch.zeros(3)}
        edit_weights(self.unet(bundle), lambda weights: weights.update(wrong))
        assert "UNet2DConditionModel" in refused(bundle)

    def test_a_text_encoders_weight_too_few(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        file = bundle.directory / "pipeline" / "text_encoder" / "model.safetensors"
        edit_weights(file, lambda weights: [weights.pop("final_layer_norm.bias")])
        assert "final_layer_norm.bias" in refused(bundle)

    @pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
    def test_damaged_weights(self, copied: Callable[[], Bundle], part: str) -> None:
        bundle = copied()
        (file,) = (bundle.directory / "pipeline" / part).glob("*.safetensors")
        file.write_bytes(b"\xff" * 100)
        assert part in refused(bundle)

    def test_pickles_are_never_opened(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        file = self.unet(bundle)
        torch.save(load_file(file), file.with_name("diffusion_pytorch_model.bin"))
        file.unlink()
        assert "unet" in refused(bundle)

    @pytest.mark.parametrize(
        "name", ["model_index.json", "unet/config.json", "tokenizer/tokenizer.json"]
    )
    def test_broken_json(self, copied: Callable[[], Bundle], name: str) -> None:
        bundle = copied()
        (bundle.directory / "pipeline" / name).write_text("{", encoding="utf-8")
        assert name.split("/")[0] in refused(bundle)

    @pytest.mark.parametrize("content", ["[]", '{"unet": ["diffusers"]}', '{"unet": ["a", [1]]}'])
    def test_an_index_of_another_shape(self, copied: Callable[[], Bundle], content: str) -> None:
        bundle = copied()
        (bundle.directory / "pipeline" / "model_index.json").write_text(content, encoding="utf-8")
        assert "model_index.json" in refused(bundle)

    def test_a_tokenizer_of_a_kind_nobody_knows(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        file = bundle.directory / "pipeline" / "tokenizer" / "tokenizer.json"
        edit_json(file, model={"type": "NoSuchModel"})
        assert "tokenizer" in refused(bundle)

    def test_an_adapter_of_scalars(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        wrong = {"image_proj.proj.0.weight": torch.tensor(1.0)}
        edit_weights(bundle.directory / "ip-adapter" / WEIGHTS, lambda w: w.update(wrong))
        assert "FaceID" in refused(bundle)

    def test_another_kind_of_denoiser(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        index = bundle.directory / "pipeline" / "model_index.json"
        edit_json(index, unet=["diffusers", "FluxTransformer2DModel"])
        assert "unet is FluxTransformer2DModel, expected UNet2DConditionModel" in refused(bundle)

    @pytest.mark.parametrize("name", ["UNet2DConditionModel", "NoSuchScheduler", "utils"])
    def test_something_that_is_no_scheduler(self, copied: Callable[[], Bundle], name: str) -> None:
        bundle = copied()
        index = bundle.directory / "pipeline" / "model_index.json"
        edit_json(index, scheduler=["diffusers", name])
        assert "is no diffusers scheduler" in refused(bundle)

    def test_parts_that_do_not_fit_each_other(
        self, copied: Callable[[], Bundle], tiny_bundle: Path
    ) -> None:
        bundle = copied()
        directory = bundle.directory / "pipeline" / "vae"
        edit_json(directory / "config.json", latent_channels=8)
        assert "vae" in refused(bundle)


class TestFaceIDStrictness:
    """diffusers ignores keys it does not expect, and fails without a word on others."""

    def spoil(self, bundle: Bundle, change: Callable[[dict[str, torch.Tensor]], object]) -> str:
        edit_weights(bundle.directory / "ip-adapter" / WEIGHTS, change)
        return refused(bundle)

    def test_a_missing_layer(self, copied: Callable[[], Bundle]) -> None:
        key = "ip_adapter.3.to_k_ip.weight"
        assert f"lacks {key}" in self.spoil(copied(), lambda w: [w.pop(key)])

    def test_a_missing_projection(self, copied: Callable[[], Bundle]) -> None:
        key = "image_proj.norm.weight"
        assert f"lacks {key}" in self.spoil(copied(), lambda w: [w.pop(key)])

    def test_a_layer_too_many(self, copied: Callable[[], Bundle]) -> None:
        extra = {"ip_adapter.99.to_k_ip.weight": torch.zeros(2, 2)}
        assert "unknown key" in self.spoil(copied(), lambda w: w.update(extra))

    def test_a_key_of_something_else(self, copied: Callable[[], Bundle]) -> None:
        extra = {"lora.up.weight": torch.zeros(2, 2)}
        assert "unknown key 'lora.up.weight'" in self.spoil(copied(), lambda w: w.update(extra))

    def test_another_denoisers_width(self, copied: Callable[[], Bundle]) -> None:
        wrong = {"ip_adapter.1.to_k_ip.weight": torch.zeros(16, 768)}
        message = self.spoil(copied(), lambda w: w.update(wrong))
        assert "[16, 768], the denoiser needs [16, 32]" in message

    def test_two_files(self, copied: Callable[[], Bundle]) -> None:
        bundle = copied()
        part = next(c for c in bundle.manifest.component if c.name == "ip-adapter")
        record = part.files[WEIGHTS]
        two = part.model_copy(update={"files": {WEIGHTS: record, "b.safetensors": record}})
        parts = tuple(two if c is part else c for c in bundle.manifest.component)
        manifest = bundle.manifest.model_copy(update={"component": parts})
        assert "2 safetensors files" in refused(Bundle("two", bundle.directory, manifest))
