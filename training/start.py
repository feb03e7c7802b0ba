"""Starting from a bundle instead of from nothing: where the drawn world or a recipe changed a
little, hours of training need not be spent again.

What reads words and faces is taken over as it is and counts as finished. The autoencoder and the
denoiser begin from the bundle's weights, at a lower learning rate. All of it in single precision
again: half of it is where a bundle ends, not where a training begins.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPVisionModelWithProjection

from models import open_bundle, quiet_libraries

from .adapter import WEIGHT_NAME
from .loop import Schedule

START = "start"
GENTLER = 0.5  # of the learning rate from nothing
PROJECTION = "text_projection.safetensors"
AUTOENCODER, DENOISER = "autoencoder", "denoiser"


class StartMismatch(ValueError):
    """The weights to start from are of a model of other sizes than the recipe's."""


def seed_cache(bundle: str | Path, cache: Path) -> None:
    """Lay a bundle's models out in a training cache, as the stages would have left them.

    Stages that are finished there already stay as they are. Raises BundleNotFound, BundleCorrupt.
    """
    directory = open_bundle(bundle).directory
    with quiet_libraries():
        for result, take in _FINISHED.items():
            if not (cache / result).exists():
                take(directory, (cache / result).parent)
        if not (cache / START / DENOISER / WEIGHT_NAME).exists():
            _weights_to_start_from(directory, cache / START)


def start_of(cache: Path, stage: str) -> Path | None:
    """The folder of weights that a stage begins from; None where it begins from nothing."""
    folder = cache / START / stage
    return folder if folder.exists() else None


def gentler(schedule: Schedule) -> Schedule:
    """The schedule of a training that does not begin from nothing."""
    return replace(schedule, learning_rate=GENTLER * schedule.learning_rate)


def load_start(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put weights into a model, in its own precision. Raises StartMismatch."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise StartMismatch(
            f"the {type(model).__name__} to start from has other sizes than the recipe's"
        ) from error


def _take(folder: str, *names: str) -> Callable[[Path, Path], None]:
    """What copies files of the bundle's folder as they are; all of them where none is named."""

    def copy(bundle: Path, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name in names or [file.name for file in (bundle / folder).iterdir()]:
            shutil.copyfile(bundle / folder / name, target / name)

    return copy


def _take_clip(bundle: Path, target: Path) -> None:
    text = CLIPTextModel.from_pretrained(bundle / "pipeline" / "text_encoder", dtype=torch.float32)
    text.save_pretrained(target / "text_encoder")
    source = bundle / "clip" / "image_encoder"
    vision = CLIPVisionModelWithProjection.from_pretrained(source, dtype=torch.float32)
    vision.save_pretrained(target / "image_encoder")
    _take("clip/image_encoder", "preprocessor_config.json")(bundle, target / "image_encoder")
    _widen(bundle / "clip" / PROJECTION, target / PROJECTION)


# The result of each stage that a bundle has finished -> what lays it out.
_FINISHED: Mapping[str, Callable[[Path, Path], None]] = MappingProxyType(
    {
        "tokenizer/tokenizer.json": _take("pipeline/tokenizer"),
        "clip/text_projection.safetensors": _take_clip,
        "faces/rec.onnx": _take("faces", "rec.onnx"),
        "faces/det.onnx": _take("faces", "det.onnx"),
        "judges/recogniser.onnx": _take("judges", "recogniser.onnx"),
        "judges/attributes.onnx": _take("judges", "judges.toml", "attributes.onnx"),
    }
)


def _weights_to_start_from(bundle: Path, start: Path) -> None:
    vae = AutoencoderTiny.from_pretrained(bundle / "pipeline" / "vae", torch_dtype=torch.float32)
    vae.save_pretrained(start / AUTOENCODER)
    unet = UNet2DConditionModel.from_pretrained(
        bundle / "pipeline" / "unet", torch_dtype=torch.float32
    )
    unet.save_pretrained(start / DENOISER / "unet")
    _widen(bundle / "ip-adapter" / WEIGHT_NAME, start / DENOISER / WEIGHT_NAME)


def _widen(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.float() for name, value in load_file(source).items()}, target)
