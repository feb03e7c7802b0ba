"""Random LoRA and FaceID weights for the tiny UNets, in every trainer's spelling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from models import FaceIDWeights
from tests.models.unets import IDENTITY_TOKENS, WIDTH

Pairs = dict[str, tuple[Tensor, Tensor]]  # down and up by diffusers' name of a layer
RANK = 4
ALPHA = 3.0  # of kohya's files; another number than the rank
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
LIKE_KOHYA = (*ATTENTION, "proj_in", "conv1", "time_emb_proj", "downsamplers.0.conv", "net.0.proj")


def random_pairs(model: nn.Module, seed: int, endings: tuple[str, ...] = LIKE_KOHYA) -> Pairs:
    """Changes of all layers whose names end so, linear or convolution."""
    generator = torch.Generator().manual_seed(seed)
    pairs: Pairs = {}
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Linear, nn.Conv2d)) or not name.endswith(endings):
            continue
        if name.startswith("encoder_hid_proj"):
            continue  # a FaceID's own
        wide, *narrow = module.weight.shape
        down = torch.randn(RANK, *narrow, generator=generator) / RANK
        up = torch.randn(wide, RANK, *([1] * (len(narrow) - 1)), generator=generator) / 10
        pairs[name] = (down, up)
    assert pairs
    return pairs


def spelled(pairs: Pairs, down: str, up: str, alpha: float | None = None) -> dict[str, Tensor]:
    """Tensors by key. down, up: patterns that take the layer's name ("name", or "under_scored")."""
    tensors: dict[str, Tensor] = {}
    for name, (first, second) in pairs.items():
        names = {"name": name, "under_scored": name.replace(".", "_")}
        tensors[down.format(**names)] = first.clone()
        tensors[up.format(**names)] = second.clone()
        if alpha is not None:
            tensors[down.format(**names).split(".lora_")[0] + ".alpha"] = torch.tensor(alpha)
    return tensors


def peft(pairs: Pairs, prefix: str = "unet.") -> dict[str, Tensor]:
    """As peft and diffusers of today save it."""
    return spelled(pairs, prefix + "{name}.lora_A.weight", prefix + "{name}.lora_B.weight")


def diffusers(pairs: Pairs, prefix: str = "unet.") -> dict[str, Tensor]:
    """As diffusers of yesterday saved it."""
    return spelled(pairs, prefix + "{name}.lora.down.weight", prefix + "{name}.lora.up.weight")


def kohya(
    pairs: Pairs, prefix: str = "lora_unet_", alpha: float | None = ALPHA
) -> dict[str, Tensor]:
    """As kohya's scripts save it, for SD1.5 and by most tools for SDXL."""
    down, up = (prefix + "{under_scored}.lora_" + half + ".weight" for half in ("down", "up"))
    return spelled(pairs, down, up, alpha)


def legacy(pairs: Pairs, prefix: str = "unet.") -> dict[str, Tensor]:
    """As diffusers saved its attention processors; attention only."""
    tensors: dict[str, Tensor] = {}
    for name, (down, up) in pairs.items():
        stem, _, short = name.removesuffix(".0").rpartition(".")
        tensors[f"{prefix}{stem}.processor.{short}_lora.down.weight"] = down.clone()
        tensors[f"{prefix}{stem}.processor.{short}_lora.up.weight"] = up.clone()
    return tensors


def numbered(unet: Any, pairs: Pairs) -> dict[str, Tensor]:
    """As FaceID's file numbers the attention layers; attention only."""
    tensors: dict[str, Tensor] = {}
    for index, processor in enumerate(unet.attn_processors):
        for part in ATTENTION:
            name = f"{processor.removesuffix('.processor')}.{part}"
            if name in pairs:
                short = part.removesuffix(".0")
                tensors[f"{index}.{short}_lora.down.weight"] = pairs[name][0].clone()
                tensors[f"{index}.{short}_lora.up.weight"] = pairs[name][1].clone()
    return tensors


def random_faceid(unet: Any, seed: int, lora: bool = True) -> FaceIDWeights:
    """FaceID weights for a UNet that has none."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) / shape[-1] ** 0.5

    image_proj = {
        "proj.0.weight": random(512, 512),
        "proj.0.bias": random(512),
        "proj.2.weight": random(IDENTITY_TOKENS * WIDTH, 512),
        "proj.2.bias": random(IDENTITY_TOKENS * WIDTH),
        "norm.weight": torch.ones(WIDTH),
        "norm.bias": torch.zeros(WIDTH),
    }
    ip_adapter: dict[str, Tensor] = {}
    cross = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for index, name in enumerate(cross):
        shape = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape
        for part in ("to_k_ip", "to_v_ip"):
            ip_adapter[f"{2 * index + 1}.{part}.weight"] = random(*shape)
    if lora:
        ip_adapter |= numbered(unet, random_pairs(unet, seed, ATTENTION))
    return FaceIDWeights(Path(f"faceid-{seed}.safetensors"), image_proj, ip_adapter)


def tiny_text_encoder(projection: bool = False, seed: int = 0) -> Any:
    """SD1.5's kind of text encoder, or SDXL's second."""
    config = CLIPTextConfig(
        vocab_size=99,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=WIDTH,
        eos_token_id=98,
        bos_token_id=97,
        pad_token_id=98,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)
    return model.eval().requires_grad_(False)


def bits(model: nn.Module) -> dict[str, tuple[torch.dtype, bytes]]:
    """Every weight and buffer, to the last bit."""
    return {
        name: (
            tensor.dtype,
            tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(),
        )
        for name, tensor in model.state_dict().items()
    }


def expected(model: nn.Module, pairs: Pairs, factor: float) -> dict[str, Tensor]:
    """The weights with changes merged, by the formula."""
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, (down, up) in pairs.items():
        change = torch.einsum("or,r...->o...", up.flatten(1), down)
        weights[f"{name}.weight"] += factor * change
    return weights


def same_weights(model: nn.Module, weights: dict[str, Tensor]) -> bool:
    """Whether all weights are these, to rounding in float32."""
    state = model.state_dict()
    return state.keys() == weights.keys() and all(
        torch.allclose(tensor, weights[name], atol=1e-6) for name, tensor in state.items()
    )


Spelling = Callable[[Pairs], dict[str, Tensor]]
