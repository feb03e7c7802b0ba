"""FaceID beside other adapters, without what diffusers leaves behind (three traps)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.models.attention_processor import SlicedAttnProcessor

from models import (
    AdapterRejected,
    AdapterStack,
    FaceIDWeights,
    install_faceid,
    load_components,
    open_bundle,
    quiet_libraries,
    read_faceid,
)
from models.adapters.lora import LoraWeights, lora_of
from tests.models.adapters.weights import (
    bits,
    peft,
    random_faceid,
    random_pairs,
)
from tests.models.unets import FAMILIES, apart, by_diffusers, inputs, load_adapter, tiny_unet

Parts = dict[str, dict[str, torch.Tensor]]


def parts(weights: FaceIDWeights) -> Parts:
    return {"image_proj": weights.image_proj, "ip_adapter": weights.ip_adapter}


def style(unet: Any) -> LoraWeights:
    return lora_of(peft(random_pairs(unet, 7)), "style")


@pytest.mark.parametrize("family", FAMILIES)
class TestLoaded:
    def test_draws_what_diffusers_draws_through_peft(self, family: str) -> None:
        ours, theirs, given = (*(tiny_unet(family, adapter=False) for _ in range(2)), inputs(2))
        weights = random_faceid(ours, 1)
        AdapterStack(ours).add(weights, "face")
        theirs._load_ip_adapter_weights([parts(weights)], low_cpu_mem_usage=True)
        (lora,) = theirs._load_ip_adapter_loras([parts(weights)]).values()
        StableDiffusionLoraLoaderMixin.load_lora_into_unet(
            lora, network_alphas=None, unet=theirs, adapter_name="faceid_0"
        )
        drawn = by_diffusers(theirs, given, 0.8)
        assert apart(by_diffusers(ours, given, 0.8), drawn) <= 1e-5
        theirs.disable_adapters()
        assert apart(by_diffusers(theirs, given, 0.8), drawn) > 1e-2

    def test_its_lora_has_a_scale(self, family: str) -> None:
        ours, plain = (tiny_unet(family, adapter=False) for _ in range(2))
        weights = random_faceid(ours, 1)
        stack = AdapterStack(ours)
        stack.add(weights, "face", 0.0)
        plain._load_ip_adapter_weights([parts(weights)], low_cpu_mem_usage=True)
        assert bits(ours) == bits(plain)
        stack.set_scale("face", 0.6)
        assert bits(ours) != bits(plain)

    def test_nothing_is_left_of_it(self, family: str) -> None:
        unet, given = tiny_unet(family, adapter=False), inputs(2)
        before, processors = bits(unet), dict(unet.attn_processors)
        drawn, config = by_diffusers(unet, given), unet.config.encoder_hid_dim_type
        stack = AdapterStack(unet)
        stack.add(random_faceid(unet, 1), "face")
        assert unet.encoder_hid_proj is not None
        stack.remove("face")
        assert bits(unet) == before
        assert unet.attn_processors == processors, "the objects themselves"
        assert unet.encoder_hid_proj is None
        assert unet.config.encoder_hid_dim_type == config
        assert torch.equal(by_diffusers(unet, given), drawn)


class TestTraps:
    """diffusers' behaviour first, so that one sees when it changes; then ours."""

    @pytest.fixture
    def pipeline(self, tiny_bundle: Path) -> StableDiffusionPipeline:
        with quiet_libraries():
            return StableDiffusionPipeline.from_pretrained(
                tiny_bundle / "pipeline", safety_checker=None, dtype=torch.float32
            )

    def load(self, pipeline: StableDiffusionPipeline, weights: FaceIDWeights) -> None:
        with quiet_libraries():
            pipeline.load_ip_adapter(
                parts(weights), subfolder="", weight_name="", image_encoder_folder=None
            )

    def faces(self, pipeline: StableDiffusionPipeline) -> tuple[FaceIDWeights, FaceIDWeights]:
        return random_faceid(pipeline.unet, 1), random_faceid(pipeline.unet, 2)

    @pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute:UserWarning")
    def test_loading_faceid_switches_every_other_lora_off(
        self, pipeline: StableDiffusionPipeline
    ) -> None:
        face, _ = self.faces(pipeline)
        lora, fresh = style(pipeline.unet), tiny_copy(pipeline)
        ours = AdapterStack(fresh)
        ours.add(lora, "style")
        ours.add(face, "face")
        pipeline.load_lora_weights(peft(random_pairs(pipeline.unet, 7)), adapter_name="style")
        self.load(pipeline, face)
        assert pipeline.get_active_adapters() == ["faceid_0"]
        pipeline.set_adapters(["style", "faceid_0"])
        given = inputs(2)
        theirs = by_diffusers(pipeline.unet, given, 1.0)
        assert apart(by_diffusers(fresh, given, 1.0), theirs) <= 1e-5

    def test_unloading_the_ip_adapter_leaves_the_faceid_lora_on(
        self, pipeline: StableDiffusionPipeline
    ) -> None:
        face, _ = self.faces(pipeline)
        given, fresh = inputs(2), tiny_copy(pipeline)
        plain = by_diffusers(fresh, given)
        self.load(pipeline, face)
        pipeline.unload_ip_adapter()
        assert apart(by_diffusers(pipeline.unet, given), plain) > 1e-2
        ours = AdapterStack(fresh)
        ours.add(face, "face")
        ours.remove("face")
        assert torch.equal(by_diffusers(fresh, given), plain)

    def test_loading_a_second_faceid_keeps_the_first_ones_lora(
        self, pipeline: StableDiffusionPipeline
    ) -> None:
        first, second = self.faces(pipeline)
        given, swapped, fresh = inputs(2), tiny_copy(pipeline), tiny_copy(pipeline)
        AdapterStack(fresh).add(second, "face")
        self.load(pipeline, first)
        self.load(pipeline, second)
        theirs = by_diffusers(pipeline.unet, given, 1.0)
        assert apart(theirs, by_diffusers(fresh, given, 1.0)) > 1e-3
        ours = AdapterStack(swapped)
        ours.add(first, "face")
        ours.swap("face", second)
        assert bits(swapped) == bits(fresh)
        assert torch.equal(by_diffusers(swapped, given, 1.0), by_diffusers(fresh, given, 1.0))


def tiny_copy(pipeline: StableDiffusionPipeline) -> Any:
    copy = type(pipeline.unet).from_config(pipeline.unet.config)
    copy.load_state_dict(pipeline.unet.state_dict())
    return copy.eval().requires_grad_(False)


class TestBesideOthers:
    def test_any_order_of_going_leaves_what_is_left(self) -> None:
        unets = [tiny_unet(adapter=False) for _ in range(4)]
        lora, face = style(unets[0]), random_faceid(unets[0], 1)
        first, second, only_style, only_face = (AdapterStack(unet) for unet in unets)
        for stack, order in ((first, "sf"), (second, "fs")):
            for name in order:
                stack.add(lora if name == "s" else face, name)
        assert bits(unets[0]) == bits(unets[1])
        only_style.add(lora, "s")
        only_face.add(face, "f")
        first.remove("f")
        second.remove("s")
        assert bits(unets[0]) == bits(unets[2])
        assert bits(unets[1]) == bits(unets[3])

    def test_a_lora_without_faceid_by_the_same_name(self) -> None:
        unet = tiny_unet(adapter=False)
        stack = AdapterStack(unet)
        stack.add(random_faceid(unet, 1), "one")
        stack.swap("one", style(unet))
        assert unet.encoder_hid_proj is None
        assert [one.is_identity for one in stack.adapters] == [False]

    def test_settings_of_self_attention_stay(self) -> None:
        unet = tiny_unet(adapter=False)
        sliced = SlicedAttnProcessor(slice_size=2)
        own = {
            name: sliced if name.endswith("attn1.processor") else processor
            for name, processor in unet.attn_processors.items()
        }
        unet.set_attn_processor(dict(own))
        stack = AdapterStack(unet)
        stack.add(random_faceid(unet, 1), "face")
        assert [each for each in unet.attn_processors.values() if each is sliced]
        stack.clear()
        assert unet.attn_processors == own

    def test_modules_are_as_the_unet_is(self) -> None:
        unet = tiny_unet(adapter=False).to(torch.bfloat16)
        AdapterStack(unet).add(random_faceid(unet, 1), "face")
        assert not any(module.training for module in unet.modules())
        assert not any(weight.requires_grad for weight in unet.parameters())
        assert {weight.dtype for weight in unet.parameters()} == {torch.bfloat16}


class TestRefusals:
    def test_a_second_one_beside_the_first(self) -> None:
        unet = tiny_unet(adapter=False)
        stack = AdapterStack(unet)
        stack.add(random_faceid(unet, 1), "first")
        before = bits(unet)
        with pytest.raises(AdapterRejected, match="second FaceID beside 'first': swap"):
            stack.add(random_faceid(unet, 2), "second")
        assert bits(unet) == before

    def test_an_adapter_that_is_not_ours(self) -> None:
        unet = tiny_unet(adapter=False)
        weights = random_faceid(unet, 1)
        load_adapter(unet)
        before, projection = bits(unet), unet.encoder_hid_proj
        with pytest.raises(AdapterRejected, match="not added here; unload that first"):
            AdapterStack(unet).add(weights, "face")
        assert bits(unet) == before
        assert unet.encoder_hid_proj is projection

    def test_a_scale_where_there_is_no_lora(self) -> None:
        unet = tiny_unet(adapter=False)
        stack = AdapterStack(unet)
        stack.add(random_faceid(unet, 1, lora=False), "face")
        with pytest.raises(AdapterRejected, match="identity_scale"):
            stack.set_scale("face", 0.5)

    @pytest.mark.parametrize(
        ("key", "words"),
        [
            ("3.to_k_ip.weight", r"lacks ip_adapter\.3\.to_k_ip"),
            ("0.to_q_lora.up.weight", "lacks the up matrix of 0.to_q"),
        ],
    )
    def test_what_is_missing_is_named(self, key: str, words: str) -> None:
        unet = tiny_unet(adapter=False)
        weights = random_faceid(unet, 1)
        del weights.ip_adapter[key]
        before = bits(unet)
        with pytest.raises(AdapterRejected, match=words):
            AdapterStack(unet).add(weights, "face")
        assert bits(unet) == before

    def test_of_another_base(self) -> None:
        other = random_faceid(tiny_unet("sdxl", adapter=False), 1)
        with pytest.raises(AdapterRejected, match=r"lacks|the denoiser needs"):
            AdapterStack(tiny_unet(adapter=False)).add(other, "face")


def test_a_bundles_own_comes_off_again(tmp_path: Path) -> None:
    from tests.tiny import build_tiny_bundle

    directory = build_tiny_bundle(tmp_path / "tiny", lora=True)
    with quiet_libraries():
        pipeline = StableDiffusionPipeline.from_pretrained(
            directory / "pipeline", safety_checker=None, dtype=torch.float32
        )
    before = bits(pipeline.unet)
    file = directory / "ip-adapter" / "ip-adapter-faceid.safetensors"
    stack = install_faceid(pipeline, read_faceid(file))
    loaded = load_components(open_bundle(directory), device="cpu")
    assert bits(pipeline.unet) == bits(loaded.unet)
    stack.clear()
    assert bits(pipeline.unet) == before
