"""LoRA files: read into low-rank changes of layers, whatever trainer wrote them.

LoRA (arXiv:2106.09685) changes a weight W to W + alpha / rank · up · down. diffusers, peft and
kohya agree on that, and on nothing in the keys' names.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from cache import Digest, digest
from models.errors import AdapterRejected
from models.text_fingerprint import tensor_digest

# peft's lora_A and lora_B; diffusers' .lora.down, .lora_linear_layer.down and _lora.down; kohya's
# .lora_down.
_MATRIX: Final = re.compile(
    r"(?P<layer>.+?)"
    r"(?:\.lora_(?P<letter>[AB])(?:\.\w+)?"
    r"|(?:\.lora\.|\.lora_linear_layer\.|_lora\.|\.lora_)(?P<word>down|up))\.weight"
)
_ALPHA: Final = ".alpha"
_OTHER_KINDS: Final = {
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "hada_w": "LoHa",
    "lokr_w": "LoKr",
    "lora_mid": "a decomposed convolution (CP)",
    "oft_": "OFT",
}
_PEFT_SETTINGS: Final = "lora_adapter_metadata"  # where diffusers keeps peft's settings
_PICKLES: Final = (b"PK\x03\x04", b"\x80")


@dataclass(frozen=True, eq=False)
class LowRank:
    """The change of one layer's weight, as its file has it.

    layer: in the file's spelling. down: [rank, in] of a linear layer, [rank, in, height, width] of
    a convolution; up: [out, rank], or [out, rank, 1, 1]. scaling: alpha / rank.
    """

    layer: str
    down: Tensor
    up: Tensor
    scaling: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that is changed; a convolution of 1 × 1 counts as a linear layer."""
        return plain_shape((self.up.shape[0], *self.down.shape[1:]))


@dataclass(frozen=True, eq=False)
class LoraWeights:
    """What a LoRA changes. source: what messages call it."""

    source: str
    changes: tuple[LowRank, ...]

    @cached_property
    def digest(self) -> Digest:
        """Of all that it changes; not of where it came from."""
        return digest(
            [
                [one.layer, tensor_digest(one.down), tensor_digest(one.up), one.scaling]
                for one in sorted(self.changes, key=lambda one: one.layer)
            ]
        )


class _Settings(BaseModel):
    """peft's settings for one model, of which these change the numbers."""

    lora_alpha: float | None = None
    alpha_pattern: dict[str, float] = Field(default_factory=dict)
    use_rslora: bool = False
    use_dora: bool = False

    def scaling(self, layer: str, rank: int) -> float:
        alpha = rank if self.lora_alpha is None else self.lora_alpha
        for pattern, other in self.alpha_pattern.items():
            if layer == pattern or layer.endswith(f".{pattern}"):
                alpha = other
                break
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


def read_lora(file: Path) -> LoraWeights:
    """The LoRA in a safetensors file, of diffusers, peft or kohya, or with FaceID's numbers.

    Raises AdapterRejected for a file that is none: cut, a pickle, with keys of another kind.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            metadata = opened.metadata() or {}
    except (OSError, SafetensorError) as error:
        if _is_pickle(file):  # a sound file may begin so as well: its length in bytes comes first
            raise AdapterRejected(
                f"{file} is a pickle, which can run code and is never opened: expected safetensors"
            ) from error
        reason = " ".join(str(error).split())
        raise AdapterRejected(
            f"{file} cannot be read as safetensors: {reason}; fetch it again"
        ) from error
    return lora_of(tensors, file.name, metadata.get(_PEFT_SETTINGS))


def lora_of(
    tensors: Mapping[str, Tensor], source: str, peft_settings: str | None = None
) -> LoraWeights:
    """The LoRA in tensors by key. peft_settings: JSON, as diffusers keeps it in a file's header.

    Raises AdapterRejected for a key that is unknown or lacks its partner, and for shapes that do
    not go together.
    """
    halves: dict[str, dict[str, Tensor]] = {}
    alphas: dict[str, float] = {}
    for key, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise AdapterRejected(f"{source}: {key} is {tensor.dtype}, expected floating point")
        if (found := _MATRIX.fullmatch(key)) is not None:
            half = found["word"] or {"A": "down", "B": "up"}[found["letter"]]
            if half in halves.setdefault(found["layer"], {}):
                raise AdapterRejected(f"{source} has the {half} matrix of {found['layer']} twice")
            halves[found["layer"]][half] = tensor
        elif key.endswith(_ALPHA) and tensor.numel() == 1:
            alphas[key.removesuffix(_ALPHA)] = float(tensor)
        else:
            _refuse_key(source, key)
    if not halves:
        raise AdapterRejected(f"{source} has no LoRA weights; give a LoRA as safetensors")
    if unused := sorted(alphas.keys() - halves.keys()):
        raise AdapterRejected(f"{source} has an alpha for {unused[0]}, and no weights for it")
    settings = _settings(source, peft_settings)
    changes = (_change(source, layer, pair, alphas, settings) for layer, pair in halves.items())
    return LoraWeights(source, tuple(changes))


def plain_shape(shape: Iterable[int]) -> tuple[int, ...]:
    """A weight's shape, of a convolution of 1 × 1 as of the linear layer that it is."""
    plain = tuple(shape)
    return plain[:2] if plain[2:] == (1, 1) else plain


def _change(
    source: str,
    layer: str,
    pair: dict[str, Tensor],
    alphas: dict[str, float],
    settings: dict[str, _Settings],
) -> LowRank:
    for half in ("down", "up"):
        if half not in pair:
            raise AdapterRejected(f"{source} lacks the {half} matrix of {layer}; it is incomplete")
    down, up = pair["down"], pair["up"]
    if down.dim() not in (2, 4) or len(plain_shape(up.shape)) != 2 or up.shape[1] != down.shape[0]:
        raise AdapterRejected(
            f"{source}: {layer} has down {list(down.shape)} and up {list(up.shape)}, expected "
            "[rank, in …] and [out, rank]"
        )
    rank = down.shape[0]
    if rank == 0:
        raise AdapterRejected(f"{source}: {layer} has rank 0; it is no LoRA")
    part, _, inner = layer.partition(".")
    if layer in alphas:
        scaling = alphas[layer] / rank
    elif part in settings:
        scaling = settings[part].scaling(inner, rank)
    else:
        scaling = 1.0
    if not math.isfinite(scaling):
        raise AdapterRejected(f"{source}: the alpha of {layer} is not finite")
    return LowRank(layer, down, up, scaling)


def _is_pickle(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(4).startswith(_PICKLES)
    except OSError:
        return False


def _settings(source: str, text: str | None) -> dict[str, _Settings]:
    """peft's settings by model ("unet", "text_encoder" …), from the header's flat JSON."""
    if text is None:
        return {}
    try:
        flat: dict[str, Any] = json.loads(text)
        by_model: dict[str, dict[str, Any]] = {}
        for key, value in flat.items():
            model, _, name = key.partition(".")
            by_model.setdefault(model, {})[name] = value
        settings = {model: _Settings.model_validate(own) for model, own in by_model.items()}
    except (ValueError, AttributeError, ValidationError) as error:
        raise AdapterRejected(f"{source} has settings of peft's that cannot be read") from error
    if any(each.use_dora for each in settings.values()):
        _refuse_key(source, "dora_scale")
    return settings


def _refuse_key(source: str, key: str) -> NoReturn:
    for part, kind in _OTHER_KINDS.items():
        if part in key:
            raise AdapterRejected(f"{source} is {kind} ({key}), expected a plain LoRA")
    if key.startswith("image_proj."):
        raise AdapterRejected(f"{source} is an IP-Adapter ({key}), expected a LoRA: read it so")
    raise AdapterRejected(f"{source} has an unknown key {key!r}, expected those of a LoRA")


def finite(tensor: Tensor) -> bool:
    """Whether no value is infinite or not a number."""
    return bool(torch.isfinite(tensor).all())
