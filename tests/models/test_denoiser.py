"""The denoiser whose K and V are inputs against diffusers' own UNet and IP-Adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import (
    AttnProcessor,
    AttnProcessor2_0,
    IPAdapterAttnProcessor,
)

from cache import digest
from models import (
    ConditionsRejected,
    KeyValueDenoiser,
    KeyValues,
    PipelineUnsupported,
    Projections,
    RowConditions,
    quiet_libraries,
)
from tests.models.unets import (
    FAMILIES,
    IDENTITY_TOKENS,
    TOKENS,
    TOLERANCE,
    WIDTH,
    Inputs,
    apart,
    by_denoiser,
    by_diffusers,
    conditions,
    inputs,
    tiny_unet,
)


@pytest.fixture
def unet() -> UNet2DConditionModel:
    return tiny_unet()


class TestParity:
    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("rows", [1, 4])
    @pytest.mark.parametrize("scale", [1.0, 0.3, 0.0])
    def test_every_bit_is_diffusers(self, family: str, rows: int, scale: float) -> None:
        unet = tiny_unet(family)
        denoiser, given = KeyValueDenoiser(unet), inputs(rows)
        assert apart(by_denoiser(denoiser, given, scale), by_diffusers(unet, given, scale)) == 0

    @pytest.mark.parametrize("family", FAMILIES)
    def test_without_an_adapter(self, family: str) -> None:
        unet = tiny_unet(family, adapter=False)
        denoiser, given = KeyValueDenoiser(unet), inputs(3)
        assert not denoiser.has_identity
        assert apart(by_denoiser(denoiser, given), by_diffusers(unet, given)) == 0

    def test_no_identity_is_an_adapter_at_scale_zero(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        assert apart(by_denoiser(denoiser, given), by_diffusers(unet, given, 0.0)) == 0

    def test_several_identities_share_a_rows_attention(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2, identities=3)
        assert denoiser.project_identity(given.embeddings).tokens == 3 * IDENTITY_TOKENS
        assert apart(by_denoiser(denoiser, given, 0.8), by_diffusers(unet, given, 0.8)) == 0

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_scales_are_not_rounded_to_half_precision(self, dtype: torch.dtype) -> None:
        unet = tiny_unet().to(dtype)
        denoiser, given = KeyValueDenoiser(unet), inputs(2).to(dtype)
        ours = by_denoiser(denoiser, given, 0.7)
        assert ours.dtype is dtype
        assert apart(ours, by_diffusers(unet, given, 0.7)) == 0

    def test_with_the_lora_of_a_public_faceid(self, tmp_path: Path) -> None:
        unet = _with_pefts_lora(tmp_path)
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        lora = by_diffusers(unet, given, 1.0)
        assert apart(by_denoiser(denoiser, given, 1.0), lora) == 0
        unet.disable_adapters()
        without = by_diffusers(unet, given, 1.0)
        assert apart(without, lora) > 1e-3
        assert apart(by_denoiser(denoiser, given, 1.0), without) == 0

    @pytest.mark.parametrize("adapter", [True, False])
    def test_diffusers_attention_of_old_within_the_tolerance(self, adapter: bool) -> None:
        unet = tiny_unet(adapter=adapter)
        processors: dict[str, Any] = dict(unet.attn_processors)
        for name, processor in processors.items():
            if isinstance(processor, AttnProcessor2_0):
                processors[name] = AttnProcessor()
            else:
                layer = unet.get_submodule(name.removesuffix(".processor"))
                processors[name] = IPAdapterAttnProcessor(layer.inner_dim, WIDTH)
                processors[name].load_state_dict(processor.state_dict())
        unet.set_attn_processor(processors)
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        scale = 0.6 if adapter else None
        ours, theirs = by_denoiser(denoiser, given, scale), by_diffusers(unet, given, scale)
        assert apart(ours, theirs) <= TOLERANCE

    def test_a_size_that_no_downsampling_divides(self, unet: UNet2DConditionModel) -> None:
        given = inputs(2)
        odd = Inputs(**{**vars(given), "latents": torch.randn(2, 4, 7, 9)})
        assert (
            apart(by_denoiser(KeyValueDenoiser(unet), odd, 1.0), by_diffusers(unet, odd, 1.0)) == 0
        )


class TestRows:
    def test_each_row_has_its_own_scale(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(4)
        scales = [1.0, 0.25, 0.0, 0.7]
        text = denoiser.project_text(given.states)
        identity = denoiser.project_identity(given.embeddings)
        mixed = RowConditions(text, identity, torch.tensor(scales))
        ours = denoiser.predict(given.latents, given.timesteps, mixed)
        for row, scale in enumerate(scales):
            theirs = by_diffusers(unet, given, scale)
            assert apart(ours[row], theirs[row]) == 0, "the batch has the same shape"
            alone = by_denoiser(denoiser, given.rows(row), scale)
            assert apart(ours[row : row + 1], alone) <= TOLERANCE

    @pytest.mark.parametrize("family", FAMILIES)
    def test_rows_of_different_requests_share_a_batch(self, family: str) -> None:
        unet = tiny_unet(family)
        denoiser, given = KeyValueDenoiser(unet), inputs(3)
        parts = [conditions(denoiser, given.rows(row), 0.2 + row / 4) for row in range(3)]
        ours = denoiser.predict(given.latents, given.timesteps, RowConditions.join(parts))
        for row in range(3):
            alone = by_diffusers(unet, given.rows(row), 0.2 + row / 4)
            assert apart(ours[row : row + 1], alone) <= TOLERANCE

    def test_no_identity_beside_one(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        joined = RowConditions.join(
            [conditions(denoiser, given.rows(0)), conditions(denoiser, given.rows(1), 0.9)]
        )
        ours = denoiser.predict(given.latents, given.timesteps, joined)
        assert apart(ours[0], by_diffusers(unet, given, 0.0)[0]) <= TOLERANCE
        assert apart(ours[1], by_diffusers(unet, given, 0.9)[1]) <= TOLERANCE

    def test_zeros_for_keys_and_values_add_nothing_at_any_scale(
        self, unet: UNet2DConditionModel
    ) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        text, identity = conditions(denoiser, given), conditions(denoiser, given, 1.0).identity
        assert identity is not None
        none = RowConditions.of(text.text, KeyValues(torch.zeros_like(identity.packed)), 1.0)
        ours = denoiser.predict(given.latents, given.timesteps, none)
        assert apart(ours, by_diffusers(unet, given, 0.0)) == 0

    def test_guidance_as_the_pipeline_batches_it(self, unet: UNet2DConditionModel) -> None:
        """Negatives first; their identity is the projection of zeros, which is not zeros."""
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        negative = torch.zeros(1, 1, 512)
        both = Inputs(**{**vars(given), "embeddings": torch.cat([negative, given.embeddings[1:]])})
        parts = [
            RowConditions.of(
                denoiser.project_text(given.states[row : row + 1]),
                denoiser.project_identity(both.embeddings[row : row + 1]),
                0.8,
            )
            for row in range(2)
        ]
        ours = denoiser.predict(given.latents, given.timesteps, RowConditions.join(parts))
        assert apart(ours, by_diffusers(unet, both, 0.8)) <= TOLERANCE
        assert denoiser.project_identity(negative).packed.abs().max() > 0.1

    def test_a_batch_does_not_mix_pictures_up(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(4)
        whole = conditions(denoiser, given, 0.9)
        before = denoiser.predict(given.latents, given.timesteps, whole)
        order = [2, 0, 3, 1]
        after = denoiser.predict(given.latents[order], given.timesteps[order], whole.select(order))
        assert apart(after, before[order]) == 0
        wrong = denoiser.predict(given.latents, given.timesteps, whole.select(order))
        assert min(apart(wrong[row], before[row]) for row in range(4)) > 1e-4

    @pytest.mark.parametrize("family", FAMILIES)
    def test_layer_zeros_keys_are_not_served_to_every_layer(self, family: str) -> None:
        unet = tiny_unet(family)
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        layers = [
            unet.get_submodule(name.removesuffix(".processor"))
            for name in unet.attn_processors
            if name.endswith("attn2.processor")
        ]
        assert denoiser.layout.widths == tuple(layer.inner_dim for layer in layers)
        whole = conditions(denoiser, given, 1.0)
        assert whole.identity is not None
        plain = denoiser.predict(given.latents, given.timesteps, whole)
        for index, layer in enumerate(layers):
            key, value = denoiser.layout.layer(whole.text.packed, index)
            assert torch.equal(key, layer.to_k(given.states))
            assert torch.equal(value, layer.to_v(given.states))
            text, identity = whole.text.packed.clone(), whole.identity.packed.clone()
            denoiser.layout.layer(text, index)[1].mul_(2)
            denoiser.layout.layer(identity, index)[0].mul_(-1)
            changed = RowConditions.of(
                KeyValues(text),
                KeyValues(identity),
                1.0,
                text_embeds=whole.text_embeds,
                time_ids=whole.time_ids,
            )
            ours = denoiser.predict(given.latents, given.timesteps, changed)
            layer.to_v.weight.mul_(2)
            layer.processor.to_k_ip[0].weight.mul_(-1)
            theirs = by_diffusers(unet, given, 1.0)
            layer.to_v.weight.div_(2)
            layer.processor.to_k_ip[0].weight.mul_(-1)
            assert apart(ours, theirs) == 0
            assert apart(ours, plain) > 1e-6


class TestKeysAndCounts:
    def test_projections_are_counted_not_predictions(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(3)
        whole = conditions(denoiser, given, 1.0)
        assert denoiser.projections == Projections(text=3, identity=3)
        for _ in range(3):
            denoiser.predict(given.latents, given.timesteps, whole)
        denoiser.project_text(given.states[:1])
        assert denoiser.projections == Projections(text=4, identity=3)

    def test_a_step_projects_nothing(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        whole = conditions(denoiser, given, 1.0)
        called: list[str] = []
        for name, module in unet.named_modules():
            if "attn2.to_k" in name or "attn2.to_v" in name or "_ip" in name:
                module.register_forward_hook(lambda *_, name=name: called.append(name))
        denoiser.predict(given.latents, given.timesteps, whole)
        assert called == []

    def test_a_key_holds_everything_that_changes_the_values(self) -> None:
        unet = tiny_unet()
        denoiser, source = KeyValueDenoiser(unet), digest("a portrait")
        keys = [denoiser.text_key(source), denoiser.identity_key(source)]
        assert denoiser.text_key(source) == keys[0], "the same again"
        assert KeyValueDenoiser(tiny_unet()).text_key(source) == keys[0], "content, not addresses"
        keys.append(denoiser.text_key(digest("another")))
        unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2.to_v.weight[0, 0] += 1
        keys.append(denoiser.text_key(source))
        unet.to(torch.bfloat16)
        keys.append(denoiser.text_key(source))
        assert len(set(keys)) == len(keys)

    def test_a_lora_switched_off_has_keys_of_its_own(self, tmp_path: Path) -> None:
        unet = _with_pefts_lora(tmp_path)
        denoiser, source = KeyValueDenoiser(unet), digest("a portrait")
        before = denoiser.text_key(source)
        unet.disable_adapters()
        assert denoiser.text_key(source) != before
        unet.enable_adapters()
        assert denoiser.text_key(source) == before


class TestRefusals:
    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("time_cond_proj_dim", 8),
            ("addition_embed_type", "image"),
            ("class_embed_type", "timestep"),
            ("num_class_embeds", 3),
            ("dual_cross_attention", True),
            ("encoder_hid_dim_type", "text_proj"),
        ],
    )
    def test_a_unet_of_another_kind(self, setting: str, value: object) -> None:
        unet = tiny_unet(adapter=False)
        unet.register_to_config(**{setting: value})
        with pytest.raises(PipelineUnsupported):
            KeyValueDenoiser(unet)

    def test_shapes_that_do_not_fit(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        whole = conditions(denoiser, given, 1.0)
        with pytest.raises(ConditionsRejected, match=r"expected \[rows, tokens, 32\]"):
            denoiser.project_text(torch.zeros(2, TOKENS, WIDTH + 1))
        with pytest.raises(ConditionsRejected, match="512"):
            denoiser.project_identity(torch.zeros(2, 512))
        with pytest.raises(ConditionsRejected, match="every row"):
            denoiser.predict(given.latents, given.timesteps[:1], whole)
        with pytest.raises(ConditionsRejected, match="every row"):
            denoiser.predict(given.latents, given.timesteps, whole.select([0]))
        wrong = RowConditions.of(KeyValues(torch.zeros(2, TOKENS, 6)))
        with pytest.raises(ConditionsRejected, match="wide"):
            denoiser.predict(given.latents, given.timesteps, wrong)
        plain = KeyValueDenoiser(tiny_unet(adapter=False))
        with pytest.raises(ConditionsRejected, match="no FaceID"):
            plain.predict(given.latents, given.timesteps, whole)

    def test_sdxls_conditions_are_for_sdxl(self, unet: UNet2DConditionModel) -> None:
        given = inputs(1)
        sdxl = KeyValueDenoiser(tiny_unet("sdxl"))
        text = RowConditions.of(sdxl.project_text(given.states))
        with pytest.raises(ConditionsRejected, match="needs text_embeds"):
            sdxl.predict(given.latents, given.timesteps, text)
        denoiser = KeyValueDenoiser(unet)
        added = RowConditions.of(denoiser.project_text(given.states), **given.added)
        with pytest.raises(ConditionsRejected, match="takes no text_embeds"):
            denoiser.predict(given.latents, given.timesteps, added)


def _with_pefts_lora(directory: Path) -> Any:
    """A bundle's UNet with its FaceID as diffusers loads it: the LoRA beside the weights."""
    from tests.tiny import build_tiny_bundle

    build_tiny_bundle(directory, lora=True)
    with quiet_libraries():
        pipeline = StableDiffusionPipeline.from_pretrained(
            directory / "pipeline", safety_checker=None, dtype=torch.float32
        )
        pipeline.load_ip_adapter(
            directory,
            subfolder="ip-adapter",
            weight_name="ip-adapter-faceid.safetensors",
            image_encoder_folder=None,
        )
    return pipeline.unet


class TestDeepFeatures:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_a_steps_own_give_its_own_noise(self, family: str) -> None:
        denoiser, given = KeyValueDenoiser(tiny_unet(family)), inputs(3)
        rows = conditions(denoiser, given, 0.8)
        whole = denoiser.predict_whole(given.latents, given.timesteps, rows)
        shallow = denoiser.predict_shallow(given.latents, given.timesteps, rows, whole.deep)
        assert apart(shallow, whole.noise) == 0

    def test_the_outermost_blocks_see_the_latents_the_inner_ones_do_not(
        self, unet: UNet2DConditionModel
    ) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        rows = conditions(denoiser, given, 1.0)
        whole = denoiser.predict_whole(given.latents, given.timesteps, rows)
        other = given.latents + 0.1
        shallow = denoiser.predict_shallow(other, given.timesteps, rows, whole.deep)
        exact = denoiser.predict(other, given.timesteps, rows)
        assert 0 < apart(shallow, exact) < apart(whole.noise, exact) * 10

    def test_those_of_other_rows_or_sizes_are_refused(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        rows = conditions(denoiser, given, 1.0)
        deep = denoiser.predict_whole(given.latents, given.timesteps, rows).deep
        for wrong in (deep[:1], deep[..., :-1]):
            with pytest.raises(ConditionsRejected, match="deep features"):
                denoiser.predict_shallow(given.latents, given.timesteps, rows, wrong)
