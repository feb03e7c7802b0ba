"""FaceID weights: read, checked against the denoiser they are for, and put into it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import AdapterRejected

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from torch import Tensor

    from models.adapters.stack import AdapterStack

EMBEDDING_SIZE = 512
FACEID = "faceid"  # the name of a bundle's own in its AdapterStack

_PROJECTION = ("proj.0.weight", "proj.0.bias", "proj.2.weight", "proj.2.bias")
_NORM = ("norm.weight", "norm.bias")
_LORA = re.compile(r"(\d+)\.to_(q|k|v|out)_lora\.(down|up)\.weight")


@dataclass(frozen=True)
class FaceIDWeights:
    """The two parts of a FaceID file, with the prefixes of their keys removed."""

    file: Path
    image_proj: dict[str, Tensor]
    ip_adapter: dict[str, Tensor]

    @property
    def has_lora(self) -> bool:
        """Whether the file also changes the denoiser's own attention."""
        return any(_LORA.fullmatch(key) for key in self.ip_adapter)


def read_faceid(file: Path) -> FaceIDWeights:
    """The weights in a safetensors file. Raises AdapterRejected."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise AdapterRejected(f"{file} cannot be read: {error}; fetch it again") from error
    parts: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in tensors.items():
        prefix, _, rest = key.partition(".")
        if prefix not in parts:
            raise AdapterRejected(f"{file} has an unknown key {key!r}; it is no FaceID adapter")
        parts[prefix][rest] = tensor
    return FaceIDWeights(file, parts["image_proj"], parts["ip_adapter"])


def check_faceid(weights: FaceIDWeights, unet: UNet2DConditionModel) -> None:
    """Compare keys and shapes with what `unet` needs; diffusers itself ignores what is too much.

    Raises AdapterRejected naming the first key that is missing, unknown or of another shape.
    """
    expected = _expected_shapes(weights, unet)
    prefixed = {
        **{f"image_proj.{key}": tensor for key, tensor in weights.image_proj.items()},
        **{f"ip_adapter.{key}": tensor for key, tensor in weights.ip_adapter.items()},
    }
    for key, shape in expected.items():
        if key not in prefixed:
            raise AdapterRejected(f"{weights.file} lacks {key}; it is for another denoiser")
        found = tuple(prefixed[key].shape)
        if found != shape:
            raise AdapterRejected(
                f"{weights.file}: {key} has shape {list(found)}, the denoiser needs {list(shape)}"
            )
    count = len(unet.attn_processors)
    for key in prefixed.keys() - expected.keys():
        lora = _LORA.fullmatch(key.removeprefix("ip_adapter."))
        if lora is None or int(lora.group(1)) >= count:
            raise AdapterRejected(f"{weights.file} has an unknown key {key!r}")


def _expected_shapes(
    weights: FaceIDWeights, unet: UNet2DConditionModel
) -> dict[str, tuple[int, ...]]:
    width = int(unet.config.cross_attention_dim)
    for key in (*_PROJECTION, *_NORM):
        if key not in weights.image_proj:
            raise AdapterRejected(f"{weights.file} lacks image_proj.{key}; it is no FaceID adapter")
    hidden = weights.image_proj["proj.0.weight"].shape[0]
    tokens_width = weights.image_proj["proj.2.weight"].shape[0]
    if hidden % EMBEDDING_SIZE or tokens_width % width:
        raise AdapterRejected(
            f"{weights.file}: image_proj is {hidden} and {tokens_width} wide; diffusers needs "
            f"multiples of {EMBEDDING_SIZE} and {width}"
        )
    expected: dict[str, tuple[int, ...]] = {
        "image_proj.proj.0.weight": (hidden, EMBEDDING_SIZE),
        "image_proj.proj.0.bias": (hidden,),
        "image_proj.proj.2.weight": (tokens_width, hidden),
        "image_proj.proj.2.bias": (tokens_width,),
        "image_proj.norm.weight": (width,),
        "image_proj.norm.bias": (width,),
    }
    cross = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    # diffusers numbers cross-attention 1, 3, 5 … whatever stands between.
    for index, name in zip(range(1, 2 * len(cross), 2), cross, strict=True):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        for part, projection in (("to_k_ip", attention.to_k), ("to_v_ip", attention.to_v)):
            expected[f"ip_adapter.{index}.{part}.weight"] = tuple(projection.weight.shape)
    return expected


def install_faceid(pipeline: StableDiffusionPipeline, weights: FaceIDWeights) -> AdapterStack:
    """Put weights into the pipeline's denoiser, LoRA included; the stack takes them off again.

    peft is not needed. The pipeline must hold no IP-Adapter yet. Raises AdapterRejected.
    """
    from models.adapters.stack import AdapterStack

    encoders = (getattr(pipeline, name, None) for name in ("text_encoder", "text_encoder_2"))
    stack = AdapterStack(pipeline.unet, *(each for each in encoders if each is not None))
    stack.add(weights, FACEID)
    return stack
