"""LoRA files of every trainer change the same weights; any other file is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import StableDiffusionLoraLoaderMixin, StableDiffusionXLLoraLoaderMixin
from diffusers.loaders.lora_conversion_utils import (
    _convert_non_diffusers_lora_to_diffusers,
    _maybe_map_sgm_blocks_to_diffusers,
)
from safetensors.torch import save_file
from torch import Tensor

from models import AdapterRejected, AdapterStack, read_lora
from models.adapters.layers import layers_by_spelling
from models.adapters.lora import lora_of
from tests.models.adapters.weights import (
    ALPHA,
    ATTENTION,
    RANK,
    Pairs,
    Spelling,
    bits,
    diffusers,
    expected,
    kohya,
    legacy,
    numbered,
    peft,
    random_pairs,
    same_weights,
    tiny_text_encoder,
)
from tests.models.unets import FAMILIES, apart, by_diffusers, inputs, tiny_unet

SPELLINGS: dict[str, tuple[Spelling, float]] = {
    "peft": (peft, 1.0),
    "peft, without a prefix": (lambda pairs: peft(pairs, ""), 1.0),
    "peft, its own file": (lambda pairs: peft(pairs, "base_model.model."), 1.0),
    "diffusers": (diffusers, 1.0),
    "kohya": (kohya, ALPHA / RANK),
    "kohya, no alpha": (lambda pairs: kohya(pairs, alpha=None), 1.0),
}


def saved(tensors: dict[str, Tensor], directory: Path, **metadata: str) -> Path:
    file = directory / "style.safetensors"
    save_file(tensors, file, metadata=metadata or None)
    return file


def by_peft(family: str, unet: Any, tensors: dict[str, Tensor], scale: float) -> Any:
    """Through diffusers' own converters and peft."""
    loader = (
        StableDiffusionLoraLoaderMixin if family == "sd15" else StableDiffusionXLLoraLoaderMixin
    )
    state, alphas = loader.lora_state_dict(dict(tensors), unet_config=unet.config)
    loader.load_lora_into_unet(state, network_alphas=alphas, unet=unet, adapter_name="style")
    unet.set_adapters(["style"], [scale])
    return unet


class TestSpellings:
    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_all_change_the_same_weights(self, family: str, spelling: str, tmp_path: Path) -> None:
        unet = tiny_unet(family, adapter=False)
        pairs = random_pairs(unet, seed=1)
        write, factor = SPELLINGS[spelling]
        wanted = expected(unet, pairs, 0.7 * factor)
        AdapterStack(unet).add(read_lora(saved(write(pairs), tmp_path)), "style", 0.7)
        assert same_weights(unet, wanted)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_attention_of_old_and_faceids_numbers(self, family: str) -> None:
        unet = tiny_unet(family, adapter=False)
        pairs = random_pairs(unet, 1, ATTENTION)
        wanted, stack = expected(unet, pairs, 1.0), AdapterStack(unet)
        for tensors in (legacy(pairs), numbered(unet, pairs)):
            with stack.applied(lora_of(tensors, "style")):
                assert same_weights(unet, wanted)

    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("spelling", ["peft", "diffusers", "kohya"])
    def test_pictures_are_those_of_diffusers_and_peft(self, family: str, spelling: str) -> None:
        unet, given = tiny_unet(family, adapter=False), inputs(2)
        tensors = SPELLINGS[spelling][0](random_pairs(unet, seed=1))
        plain = by_diffusers(unet, given)
        theirs = by_diffusers(
            by_peft(family, tiny_unet(family, adapter=False), tensors, 0.6), given
        )
        AdapterStack(unet).add(lora_of(tensors, "style"), "style", 0.6)
        ours = by_diffusers(unet, given)
        assert apart(ours, theirs) <= 1e-5
        assert apart(ours, plain) > 1e-2

    def test_sdxls_original_names_are_those_that_diffusers_knows(self) -> None:
        unet = tiny_unet("sdxl", adapter=False)
        layers = layers_by_spelling(unet, ())
        names = {module: name for name, module in unet.named_modules()}
        originals = {
            spelling: names[module]
            for spelling, module in layers.items()
            if spelling.startswith(("lora_unet_input", "lora_unet_middle", "lora_unet_output"))
        }
        assert len(originals) > 60
        for spelling, name in originals.items():
            mapped = _maybe_map_sgm_blocks_to_diffusers(
                {f"{spelling}.lora_{half}.weight": torch.zeros(1) for half in ("down", "up")},
                unet.config,
            )
            converted, _ = _convert_non_diffusers_lora_to_diffusers(mapped)
            (first, _) = converted
            theirs = first.removeprefix("unet.").replace(".processor", "")
            theirs = theirs.replace(".lora.down.weight", "").replace("_lora.down.weight", "")
            assert theirs.replace("to_out", "to_out.0") == name

    def test_names_that_sdxls_public_files_have(self) -> None:
        """In the full model's layout, without its weights."""
        with torch.device("meta"):
            unet = UNet2DConditionModel(
                block_out_channels=(32, 64, 128),
                norm_num_groups=8,
                attention_head_dim=(2, 2, 2),
                cross_attention_dim=32,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
                transformer_layers_per_block=(1, 2, 10),
                use_linear_projection=True,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=72,
            )
        layers = layers_by_spelling(unet, ())
        names = {module: name for name, module in unet.named_modules()}
        known = {
            "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
            "input_blocks_4_1_proj_in": "down_blocks.1.attentions.0.proj_in",
            "input_blocks_4_0_skip_connection": "down_blocks.1.resnets.0.conv_shortcut",
            "input_blocks_8_1_transformer_blocks_9_attn2_to_k": (
                "down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_k"
            ),
            "middle_block_0_in_layers_2": "mid_block.resnets.0.conv1",
            "middle_block_1_transformer_blocks_9_ff_net_0_proj": (
                "mid_block.attentions.0.transformer_blocks.9.ff.net.0.proj"
            ),
            "output_blocks_2_2_conv": "up_blocks.0.upsamplers.0.conv",
            "output_blocks_5_1_transformer_blocks_1_attn1_to_out_0": (
                "up_blocks.1.attentions.2.transformer_blocks.1.attn1.to_out.0"
            ),
            "output_blocks_8_0_out_layers_3": "up_blocks.2.resnets.2.conv2",
            "label_emb_0_2": "add_embedding.linear_2",
            "time_embed_0": "time_embedding.linear_1",
            "out_2": "conv_out",
        }
        assert {key: names[layers[f"lora_unet_{key}"]] for key in known} == known

    def test_a_linear_change_of_a_convolution_of_one_by_one(self) -> None:
        unet = tiny_unet(adapter=False)
        pairs = random_pairs(unet, 1, ("proj_in",))
        wanted = expected(unet, pairs, 1.0)
        flat: Pairs = {name: (d.flatten(1), u.flatten(1)) for name, (d, u) in pairs.items()}
        AdapterStack(unet).add(lora_of(peft(flat), "style"), "style")
        assert same_weights(unet, wanted)

    def test_pefts_settings_in_the_files_header_count(self, tmp_path: Path) -> None:
        unet = tiny_unet(adapter=False)
        pairs = random_pairs(unet, 1, ("attn1.to_q", "attn1.to_k"))
        settings = {
            "unet.r": RANK,
            "unet.lora_alpha": 8,
            "unet.alpha_pattern": {"attn1.to_k": 2},
            "unet.use_rslora": False,
        }
        file = saved(peft(pairs), tmp_path, lora_adapter_metadata=json.dumps(settings))
        scalings = {one.layer.rpartition(".")[2]: one.scaling for one in read_lora(file).changes}
        assert scalings == {"to_q": 8 / RANK, "to_k": 2 / RANK}
        settings["unet.use_rslora"] = True
        file = saved(peft(pairs), tmp_path, lora_adapter_metadata=json.dumps(settings))
        assert {one.scaling for one in read_lora(file).changes} == {8 / RANK**0.5, 2 / RANK**0.5}


class TestTextEncoders:
    ENDINGS = ("q_proj", "out_proj", "fc1")

    @pytest.mark.parametrize("prefix", ["lora_te_text_model_", "lora_te1_text_model_"])
    def test_kohya(self, prefix: str) -> None:
        self.changed(lambda pairs: kohya(pairs, prefix), ALPHA / RANK, second=False)

    def test_kohyas_second(self) -> None:
        self.changed(lambda pairs: kohya(pairs, "lora_te2_text_model_"), ALPHA / RANK, second=True)

    def test_peft(self) -> None:
        self.changed(lambda pairs: peft(pairs, "text_encoder.text_model."), 1.0, second=False)
        self.changed(lambda pairs: peft(pairs, "text_encoder_2.text_model."), 1.0, second=True)

    def changed(self, write: Spelling, factor: float, second: bool) -> None:
        unet, encoders = (
            tiny_unet("sdxl", adapter=False),
            (
                tiny_text_encoder(),
                tiny_text_encoder(projection=True, seed=1),
            ),
        )
        pairs = random_pairs(encoders[second], 1, self.ENDINGS)
        wanted, other = expected(encoders[second], pairs, factor), bits(encoders[not second])
        bare = {name.removeprefix("text_model."): pair for name, pair in pairs.items()}
        stack = AdapterStack(unet, *encoders)
        stack.add(lora_of(write(bare), "style"), "style")
        assert same_weights(encoders[second], wanted)
        assert bits(encoders[not second]) == other

    def test_diffusers_of_old(self) -> None:
        encoder = tiny_text_encoder()
        pairs = random_pairs(encoder, 1, self.ENDINGS)
        wanted = expected(encoder, pairs, 1.0)
        tensors: dict[str, Tensor] = {}
        for name, (down, up) in pairs.items():
            stem = f"text_encoder.text_model.{name.removeprefix('text_model.')}."
            stem = stem.replace("q_proj.", "to_q_lora.").replace("out_proj.", "to_out_lora.")
            stem = stem.replace("fc1.", "fc1.lora_linear_layer.")
            tensors |= {f"{stem}down.weight": down, f"{stem}up.weight": up}
        AdapterStack(tiny_unet(adapter=False), encoder).add(lora_of(tensors, "style"), "style")
        assert same_weights(encoder, wanted)

    def test_a_stack_without_them_refuses(self) -> None:
        pairs = random_pairs(tiny_text_encoder(), 1, ("q_proj",))
        with pytest.raises(AdapterRejected, match="no layer lora_te_"):
            AdapterStack(tiny_unet(adapter=False)).add(
                lora_of(kohya(pairs, "lora_te_"), "style"), "style"
            )


class TestRefusals:
    def refused(self, file: Path) -> str:
        with pytest.raises(AdapterRejected) as caught:
            read_lora(file)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    @pytest.fixture
    def tensors(self) -> dict[str, Tensor]:
        return peft(random_pairs(tiny_unet(adapter=False), 1, ("attn1.to_q",)))

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert "cannot be read" in self.refused(tmp_path / "none.safetensors")

    @pytest.mark.parametrize("length", [0, 4, 100, 2000])
    def test_a_cut_file(self, tensors: dict[str, Tensor], tmp_path: Path, length: int) -> None:
        file = saved(tensors, tmp_path)
        file.write_bytes(file.read_bytes()[:length])
        assert "cannot be read as safetensors" in self.refused(file)

    def test_a_pickle_is_never_opened(self, tensors: dict[str, Tensor], tmp_path: Path) -> None:
        for zipped in (True, False):
            file = tmp_path / "style.safetensors"
            torch.save(tensors, file, _use_new_zipfile_serialization=zipped)
            assert "is a pickle" in self.refused(file)

    @pytest.mark.parametrize(
        ("key", "words"),
        [
            ("unet.mid_block.lora_magnitude_vector", "is DoRA"),
            ("lora_unet_mid_block.dora_scale", "is DoRA"),
            ("lora_unet_mid_block.hada_w1_a", "is LoHa"),
            ("lora_unet_mid_block.lokr_w1", "is LoKr"),
            ("lora_unet_mid_block.lora_mid.weight", "decomposed"),
            ("image_proj.norm.weight", "is an IP-Adapter"),
            ("something.else", "unknown key 'something.else'"),
            ("unet.mid_block.lora_A.bias", "unknown key"),
        ],
    )
    def test_another_kind(
        self, tensors: dict[str, Tensor], tmp_path: Path, key: str, words: str
    ) -> None:
        assert words in self.refused(saved({**tensors, key: torch.ones(2, 2)}, tmp_path))

    def test_a_sound_file_may_begin_as_a_pickle_does(self, tmp_path: Path) -> None:
        """With the length of its header, here 640 bytes."""
        pairs = random_pairs(tiny_unet(adapter=False), 1, ("blocks.0.attn1.to_q",))
        (name, pair) = next(iter(pairs.items()))
        for padding in range(640):
            file = saved(peft({name: pair}), tmp_path, padding="x" * padding)
            if file.read_bytes().startswith(b"\x80\x02"):
                break
        else:
            pytest.fail("no padding made such a file")
        assert len(read_lora(file).changes) == 1

    def test_half_a_layer(self, tensors: dict[str, Tensor], tmp_path: Path) -> None:
        gone = next(key for key in tensors if ".lora_B." in key)
        del tensors[gone]
        message = self.refused(saved(tensors, tmp_path))
        assert "lacks the up matrix of" in message
        assert gone.removesuffix(".lora_B.weight") in message

    def test_ranks_that_differ(self, tensors: dict[str, Tensor], tmp_path: Path) -> None:
        key = next(key for key in tensors if ".lora_B." in key)
        tensors[key] = torch.ones(16, RANK + 1)
        assert "and up [16, 5], expected" in self.refused(saved(tensors, tmp_path))

    def test_rank_zero(self, tensors: dict[str, Tensor], tmp_path: Path) -> None:
        key = next(key for key in tensors if ".lora_B." in key)
        tensors[key] = torch.ones(16, 0)
        tensors[key.replace("lora_B", "lora_A")] = torch.ones(0, 16)
        assert "has rank 0; it is no LoRA" in self.refused(saved(tensors, tmp_path))

    def test_whole_numbers(self, tensors: dict[str, Tensor], tmp_path: Path) -> None:
        tensors[next(iter(tensors))] = torch.ones(RANK, 16, dtype=torch.int8)
        assert "torch.int8, expected floating point" in self.refused(saved(tensors, tmp_path))

    def test_an_alpha_of_nothing(self, tensors: dict[str, Tensor], tmp_path: Path) -> None:
        tensors["unet.mid_block.alpha"] = torch.tensor(1.0)
        assert "no weights for it" in self.refused(saved(tensors, tmp_path))

    def test_nothing_at_all(self, tmp_path: Path) -> None:
        assert "no LoRA weights" in self.refused(saved({}, tmp_path))

    @pytest.mark.parametrize("settings", ["[", "[]", '{"unet.lora_alpha": "much"}'])
    def test_settings_of_nonsense(
        self, tensors: dict[str, Tensor], tmp_path: Path, settings: str
    ) -> None:
        file = saved(tensors, tmp_path, lora_adapter_metadata=settings)
        assert "cannot be read" in self.refused(file)

    @pytest.mark.parametrize("write", [peft, kohya])
    def test_of_another_base(self, write: Spelling) -> None:
        unet = tiny_unet("sd15", adapter=False)
        before = bits(unet)
        stranger = write(random_pairs(tiny_unet("sdxl", adapter=False), 1))
        with pytest.raises(AdapterRejected, match="trained for this base"):
            AdapterStack(unet).add(lora_of(stranger, "style"), "style")
        assert bits(unet) == before

    def test_of_another_width(self) -> None:
        unet = tiny_unet(adapter=False)
        layer = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
        tensors = peft({layer: (torch.ones(RANK, 2048), torch.ones(32, RANK))})
        with pytest.raises(AdapterRejected, match=r"weight of \[32, 2048\], here it is \[32, 32\]"):
            AdapterStack(unet).add(lora_of(tensors, "style"), "style")

    def test_one_layer_by_two_names(self) -> None:
        unet = tiny_unet(adapter=False)
        pairs = random_pairs(unet, 1, ("attn1.to_q",))
        with pytest.raises(AdapterRejected, match="are the same layer"):
            AdapterStack(unet).add(lora_of(peft(pairs) | kohya(pairs), "style"), "style")
