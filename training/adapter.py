"""FaceID's decoupled cross-attention, installed for training and split off again in its native
form.

diffusers builds the processors and the projection itself from a dictionary of native weights, so
what is trained is exactly what `pipe.load_ip_adapter` will build. Scale of the embedding: a unit
vector of 512 numbers is about 0.04 per number, too faint to learn from; training multiplies it by
sqrt(512), and the split folds that into `proj.0`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from models import quiet_libraries

EMBEDDING_WIDTH = 512
TOKENS = 4  # what diffusers assumes of FaceID
EMBEDDING_SCALE = EMBEDDING_WIDTH**0.5
WEIGHT_NAME = "ip-adapter-faceid.safetensors"
FIRST_WEIGHT = "image_proj.proj.0.weight"

# diffusers' names of the projection's parameters -> FaceID's
_PROJECTION_NAMES: Mapping[str, str] = {
    "ff.net.0.proj": "proj.0",
    "ff.net.2": "proj.2",
    "norm": "norm",
}


def install(unet: UNet2DConditionModel, native: Mapping[str, Tensor] | None = None) -> None:
    """Give a plain denoiser FaceID's processors and projection in place: freshly initialised, or
    with the native weights that `split` made.
    """
    weights = _fresh_weights(unet) if native is None else dict(native)
    if native is not None:
        weights[FIRST_WEIGHT] = weights[FIRST_WEIGHT] / EMBEDDING_SCALE
    with quiet_libraries():  # diffusers warns of a cast that changes nothing here
        unet._load_ip_adapter_weights([_nested(weights)], low_cpu_mem_usage=False)
    unet.requires_grad_(True)


def split(unet: UNet2DConditionModel) -> tuple[UNet2DConditionModel, dict[str, Tensor]]:
    """A jointly trained denoiser as the plain one and FaceID's native weights.

    The weights take unit embeddings as they are: EMBEDDING_SCALE is in them. The denoiser given is
    left as it was.
    """
    config = {**unet.config, "encoder_hid_dim_type": None, "encoder_hid_dim": None}
    base = UNet2DConditionModel.from_config(config)
    assert isinstance(base, UNet2DConditionModel)
    own = {
        name: value
        for name, value in unet.state_dict().items()
        if ".processor." not in name and not name.startswith("encoder_hid_proj.")
    }
    base.load_state_dict(own)
    weights: dict[str, Tensor] = {}
    projection = _projection(unet)
    for name, value in projection.state_dict().items():
        for theirs, native in _PROJECTION_NAMES.items():
            if name.startswith(theirs + "."):
                weights[f"image_proj.{native}{name[len(theirs) :]}"] = value.detach().clone()
    weights[FIRST_WEIGHT] *= EMBEDDING_SCALE
    for index, (name, processor) in enumerate(unet.attn_processors.items()):
        if name.endswith("attn2.processor"):
            for part in ("to_k_ip", "to_v_ip"):
                layer = getattr(processor, part)[0]
                weights[f"ip_adapter.{index}.{part}.weight"] = layer.weight.detach().clone()
    return base, weights


def _projection(unet: UNet2DConditionModel) -> nn.Module:
    layers = unet.encoder_hid_proj.image_projection_layers
    module = layers[0]
    assert isinstance(module, nn.Module)
    return module


def _fresh_weights(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """Native FaceID weights to start from; the identity's values start small, so that it grows in
    softly.
    """
    width = int(unet.config["cross_attention_dim"])
    weights = {
        FIRST_WEIGHT: _matrix(EMBEDDING_WIDTH, EMBEDDING_WIDTH),
        "image_proj.proj.0.bias": torch.zeros(EMBEDDING_WIDTH),
        "image_proj.proj.2.weight": _matrix(TOKENS * width, EMBEDDING_WIDTH),
        "image_proj.proj.2.bias": torch.zeros(TOKENS * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    for index, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            attention = unet.get_submodule(name.removesuffix(".processor"))
            rows = attention.to_k.weight.shape[0]
            weights[f"ip_adapter.{index}.to_k_ip.weight"] = _matrix(int(rows), width)
            weights[f"ip_adapter.{index}.to_v_ip.weight"] = 0.5 * _matrix(int(rows), width)
    return weights


def _matrix(rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns).div(columns**0.5)


def _nested(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """What diffusers makes of a safetensors file: one dictionary by part."""
    parts: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    return parts
