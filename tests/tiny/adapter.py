"""FaceID weights of random numbers, with a LoRA if asked."""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

TOKENS = 4  # identity tokens


def write_faceid(directory: Path, unet: UNet2DConditionModel, lora: bool) -> None:
    directory.mkdir(exist_ok=True)
    width = int(unet.config.cross_attention_dim)
    weights = {
        "image_proj.proj.0.weight": torch.randn(512, 512) / 512**0.5,
        "image_proj.proj.0.bias": torch.zeros(512),
        "image_proj.proj.2.weight": torch.randn(TOKENS * width, 512) / 512**0.5,
        "image_proj.proj.2.bias": torch.zeros(TOKENS * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    for index, name in enumerate(unet.attn_processors):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        if name.endswith("attn2.processor"):
            for part, projection in (("to_k_ip", attention.to_k), ("to_v_ip", attention.to_v)):
                shape = projection.weight.shape
                weights[f"ip_adapter.{index}.{part}.weight"] = torch.randn(shape) / shape[1] ** 0.5
        if lora:
            projections = {
                "to_q_lora": attention.to_q,
                "to_k_lora": attention.to_k,
                "to_v_lora": attention.to_v,
                "to_out_lora": attention.to_out[0],
            }
            for part, projection in projections.items():
                wide, narrow = projection.weight.shape
                weights[f"ip_adapter.{index}.{part}.down.weight"] = 0.1 * torch.randn(4, narrow)
                weights[f"ip_adapter.{index}.{part}.up.weight"] = 0.1 * torch.randn(wide, 4)
    half = {key: value.half().contiguous() for key, value in weights.items()}
    save_file(half, directory / "ip-adapter-faceid.safetensors")
