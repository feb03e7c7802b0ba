"""Stable Diffusion 1.5 with IP-Adapter FaceID in its public shape, with random weights: as fast and
as large as the real one, and it draws nothing.
"""

from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer


def random_pipeline(device: torch.device, dtype: torch.dtype) -> StableDiffusionPipeline:
    """On the device, in that precision. The tokenizer knows letters only."""
    torch.manual_seed(0)
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)}, merges=[], model_max_length=77
    )
    text = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        hidden_act="quick_gelu", bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=512, scaling_factor=0.18215,
    )  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
            steps_offset=1,
            clip_sample=False,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.load_ip_adapter(_faceid(unet), subfolder="", weight_name="", image_encoder_folder=None)
    return pipe.to(device, dtype)


def _faceid(unet: UNet2DConditionModel) -> dict[str, dict[str, torch.Tensor]]:
    """The public file's keys without its LoRA, which would be fused before drawing."""
    projection: dict[str, torch.Tensor] = {
        "proj.0.weight": torch.randn(1024, 512) / 23,
        "proj.0.bias": torch.zeros(1024),
        "proj.2.weight": torch.randn(3072, 1024) / 32,
        "proj.2.bias": torch.zeros(3072),
        "norm.weight": torch.ones(768),
        "norm.bias": torch.zeros(768),
    }
    adapter: dict[str, torch.Tensor] = {}
    number = 1
    for name in unet.attn_processors:
        if name.endswith("attn2.processor"):
            layer: Any = unet.get_submodule(name.removesuffix(".processor"))
            for part in ("to_k_ip", "to_v_ip"):
                adapter[f"{number}.{part}.weight"] = torch.randn(layer.inner_dim, 768) / 28
            number += 2
    return {"image_proj": projection, "ip_adapter": adapter}
