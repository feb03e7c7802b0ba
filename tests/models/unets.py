"""Tiny UNets of the two families with random weights, and diffusers' own call of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from models import RowConditions

WIDTH = 32  # of the text states
IDENTITY_TOKENS = 4
TOKENS = 9
POOLED = 24  # of SDXL's pooled text
FAMILIES = ("sd15", "sdxl")
TOLERANCE = 1e-5  # float32, where the batch has another shape
CHANNELS = {"sd15": (16, 32), "sdxl": (16, 32)}


def tiny_unet(family: str = "sd15", *, seed: int = 0, adapter: bool = True) -> UNet2DConditionModel:
    """A UNet of a family; adapter: with an IP-Adapter FaceID, loaded by diffusers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = _sd15() if family == "sd15" else _sdxl()
        if adapter:
            load_adapter(unet)
    return unet.eval().requires_grad_(False)


def _sd15() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=CHANNELS["sd15"],
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=4,  # by an old slip the number of heads
        cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


def _sdxl() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=CHANNELS["sdxl"],
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=(2, 4),
        cross_attention_dim=WIDTH,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + POOLED,
    )


def load_adapter(unet: UNet2DConditionModel) -> None:
    """Random FaceID weights, through diffusers' own loader."""
    image_proj = {
        "proj.0.weight": torch.randn(512, 512) / 512**0.5,
        "proj.0.bias": torch.randn(512) / 10,
        "proj.2.weight": torch.randn(IDENTITY_TOKENS * WIDTH, 512) / 512**0.5,
        "proj.2.bias": torch.randn(IDENTITY_TOKENS * WIDTH) / 10,
        "norm.weight": torch.ones(WIDTH),
        "norm.bias": torch.zeros(WIDTH),
    }
    ip_adapter = {}
    for index, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            shape = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape
            for part in ("to_k_ip", "to_v_ip"):
                ip_adapter[f"{index}.{part}.weight"] = torch.randn(shape) / shape[1] ** 0.5
    state = {"image_proj": image_proj, "ip_adapter": ip_adapter}
    unet._load_ip_adapter_weights([state], low_cpu_mem_usage=False)


@dataclass(frozen=True)
class Inputs:
    """What rows are drawn from, as diffusers takes it. embeddings: [rows, n, 512]."""

    latents: Tensor
    timesteps: Tensor
    states: Tensor
    embeddings: Tensor
    text_embeds: Tensor
    time_ids: Tensor

    @property
    def added(self) -> dict[str, Tensor]:
        return {"text_embeds": self.text_embeds, "time_ids": self.time_ids}

    def rows(self, *chosen: int) -> Inputs:
        return Inputs(*(value[list(chosen)] for value in vars(self).values()))

    def to(self, dtype: torch.dtype) -> Inputs:
        return Inputs(*(v.to(dtype) if v.is_floating_point() else v for v in vars(self).values()))


def inputs(
    rows: int, seed: int = 1, tokens: int = TOKENS, identities: int = 1, width: int = WIDTH
) -> Inputs:
    """Random rows, each at a timestep of its own."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return Inputs(
        latents=random(rows, 4, 8, 8),
        timesteps=torch.randint(0, 1000, (rows,), generator=generator),
        states=random(rows, tokens, width),
        embeddings=torch.nn.functional.normalize(random(rows, identities, 512), dim=-1),
        text_embeds=random(rows, POOLED),
        time_ids=torch.randint(0, 64, (rows, 6), generator=generator).float(),
    )


def by_diffusers(unet: Any, given: Inputs, scale: float | None = None) -> Tensor:
    """The UNet's own call, its adapter at a scale; None: without an adapter."""
    added: dict[str, Any] = dict(given.added)
    if scale is not None:
        added["image_embeds"] = [given.embeddings]
        for processor in unet.attn_processors.values():
            if hasattr(processor, "scale"):
                processor.scale = [scale]
    with torch.no_grad():
        noise: Tensor = unet(
            given.latents, given.timesteps, given.states, added_cond_kwargs=added
        ).sample
    return noise


def apart(first: Tensor, second: Tensor) -> float:
    """The greatest difference of two predictions, which must be finite."""
    assert first.shape == second.shape
    assert first.isfinite().all()
    return float((first - second).abs().max())


def conditions(denoiser: Any, given: Inputs, scale: float | None = None) -> RowConditions:
    """What `by_diffusers` gives to the UNet, for the denoiser."""
    sdxl = denoiser.unet.config.addition_embed_type == "text_time"
    return RowConditions.of(
        denoiser.project_text(given.states),
        None if scale is None else denoiser.project_identity(given.embeddings),
        1.0 if scale is None else scale,
        text_embeds=given.text_embeds if sdxl else None,
        time_ids=given.time_ids if sdxl else None,
    )


def by_denoiser(denoiser: Any, given: Inputs, scale: float | None = None) -> Tensor:
    """The same by the denoiser."""
    noise: Tensor = denoiser.predict(
        given.latents, given.timesteps, conditions(denoiser, given, scale)
    )
    return noise
