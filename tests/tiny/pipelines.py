"""Pipelines of random weights in diffusers' layout: Stable Diffusion 1.5 and SDXL."""

from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from tests.tiny.words import tiny_tokenizer

SIZE = 128  # pixels
WIDTH = 32  # of one encoder's text states
POOLED = 24  # of SDXL's pooled text
_UNET: dict[str, Any] = {
    "sample_size": SIZE // 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (16, 32),
    "layers_per_block": 1, "norm_num_groups": 8,
}  # fmt: skip
_NOISE: dict[str, Any] = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1,
}  # fmt: skip


def write_sd15(directory: Path) -> UNet2DConditionModel:
    """One encoder, and an autoencoder of the small kind; its denoiser is given back."""
    tokenizer = tiny_tokenizer()
    text_encoder = CLIPTextModel(_text_config(tokenizer, WIDTH))
    unet = UNet2DConditionModel(
        **_UNET,
        attention_head_dim=2,
        cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    vae = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        latent_channels=4,
    )
    scheduler = DDIMScheduler(
        **_NOISE,
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        timestep_spacing="trailing",
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return _saved(pipeline, directory)


def write_sdxl(directory: Path) -> UNet2DConditionModel:
    """Two encoders, the second one's prompts padded with "!", and an autoencoder that upcasts."""
    first, second = tiny_tokenizer(), tiny_tokenizer(pad="!")
    unet = UNet2DConditionModel(
        **_UNET,
        attention_head_dim=(2, 4),
        cross_attention_dim=2 * WIDTH,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + POOLED,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        latent_channels=4,
        scaling_factor=0.13025,
        force_upcast=True,
    )
    text_encoders = (
        CLIPTextModel(_text_config(first, WIDTH)),
        CLIPTextModelWithProjection(_text_config(second, POOLED, layers=3)),
    )
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=text_encoders[0],
        text_encoder_2=text_encoders[1],
        tokenizer=first,
        tokenizer_2=second,
        unet=unet,
        scheduler=EulerDiscreteScheduler(**_NOISE, timestep_spacing="leading"),
        add_watermarker=False,
    )
    return _saved(pipeline, directory)


def _text_config(tokenizer: CLIPTokenizer, projection: int, layers: int = 2) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=4,
        projection_dim=projection,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _saved(
    pipeline: StableDiffusionPipeline | StableDiffusionXLPipeline, directory: Path
) -> UNet2DConditionModel:
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.half()
    pipeline.save_pretrained(directory, safe_serialization=True)
    return pipeline.unet
