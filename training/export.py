"""The bundle: what the stages left in the cache, in half precision and the standard layouts, sealed
with digests.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from models import (
    BundleDescription,
    ComponentDescription,
    ComponentKind,
    Defaults,
    Draws,
    FacesSettings,
    FewSteps,
    seal_bundle,
)

from .adapter import WEIGHT_NAME
from .config import TrainingConfig
from .denoiser import TEXT_ENCODER, build_scheduler

LICENCE = "Apache-2.0"
LARGEST_BUNDLE_BYTES = 24 << 20
# Centre x, y and height of the face's box: the mean over portraits of the drawn world.
FACE_PLACEMENT = (0.50, 0.523, 0.774)
# Drawn faces score 0.89 and more, the two photographs that come with InsightFace 0.83 and less.
CONFIRM_SCORE = 0.86
LENGTH_MARGIN = 0.25  # embeddings of drawings and of the detector's landmarks stray this far

_KINDS = {
    "pipeline": ComponentKind.PIPELINE,
    "ip-adapter": ComponentKind.IDENTITY,
    "faces": ComponentKind.FACES,
    "clip": ComponentKind.CLIP,
    "judges": ComponentKind.JUDGES,
}


class BundleTooLarge(ValueError):
    """The bundle would not fit where it ships."""


def export_bundle(config: TrainingConfig, cache: Path, output: Path) -> dict[str, int]:
    """Assemble and seal the bundle in `output`; gives the bytes of each component.

    An earlier export there is replaced once the new one is whole; other files (a card) stay.
    Raises BundleTooLarge, and BundleNotFound or BundleCorrupt where parts are missing.
    """
    output = output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as workplace:
        fresh = Path(workplace) / "fresh"
        _keep_others(output, fresh)
        sizes = _assemble(cache, fresh)
        seal_bundle(fresh, describe(config, cache))
        _swap(fresh, output, Path(workplace) / "earlier")
    return sizes


def _keep_others(output: Path, fresh: Path) -> None:
    """`fresh` with what lies in an earlier export beside its components."""
    if not output.exists():
        fresh.mkdir()
        return
    top = str(output)
    shutil.copytree(output, fresh, ignore=lambda path, _: set(_KINDS) if path == top else set())


def _assemble(cache: Path, fresh: Path) -> dict[str, int]:
    """The components, and the bytes of each. Raises BundleTooLarge."""
    export_drawing(cache, fresh)
    for name in ("faces", "judges"):
        _copy(cache / name, fresh / name)
    for name in _KINDS:
        for file in (fresh / name).rglob("*"):
            if file.is_file():
                file.chmod(0o644)  # safetensors writes for its owner only
    sizes = {name: _bytes(fresh / name) for name in _KINDS}
    if sum(sizes.values()) > LARGEST_BUNDLE_BYTES:
        listed = ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in sizes.items())
        raise BundleTooLarge(f"the bundle is larger than 24 MiB: {listed}; train smaller models")
    return sizes


def _swap(fresh: Path, output: Path, earlier: Path) -> None:
    """Put `fresh` where `output` is, and `output` back where that fails."""
    if output.exists():
        output.rename(earlier)
    try:
        fresh.rename(output)
    except BaseException:
        if earlier.exists():
            earlier.rename(output)
        raise


def export_drawing(cache: Path, output: Path) -> None:
    """pipeline/, ip-adapter/ and clip/: what draws, and what reads pictures as words."""
    unet = UNet2DConditionModel.from_pretrained(cache / "denoiser" / "unet")
    vae = AutoencoderTiny.from_pretrained(cache / "autoencoder")
    text_encoder = CLIPTextModel.from_pretrained(cache / "denoiser" / TEXT_ENCODER)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(cache / "tokenizer"),
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for model in (unet, vae, text_encoder):
        model.half()
    for part in (unet, vae):  # or the folder of the machine that trained would travel along
        part.register_to_config(_name_or_path="limner")
    pipeline.save_pretrained(output / "pipeline", safe_serialization=True)
    _halve(cache / "denoiser" / WEIGHT_NAME, output / "ip-adapter" / WEIGHT_NAME)
    vision = CLIPVisionModelWithProjection.from_pretrained(cache / "clip" / "image_encoder")
    vision.half().save_pretrained(output / "clip" / "image_encoder")
    processor = Path("image_encoder") / "preprocessor_config.json"
    shutil.copyfile(cache / "clip" / processor, output / "clip" / processor)
    projection = "text_projection.safetensors"
    _halve(cache / "clip" / projection, output / "clip" / projection)


def describe(config: TrainingConfig, cache: Path) -> BundleDescription:
    """The manifest, but for the digests."""
    from .detector import INPUT_SIZE

    return BundleDescription(
        name=config.name,
        title="People drawn by Limner's own renderer",
        licence=LICENCE,
        size=config.size,
        draws=Draws(
            people="drawn",
            hint="this bundle draws drawn people; for photographs: limner models pull sd15-faceid",
        ),
        defaults=Defaults(
            steps=20,
            guidance_scale=2.5,
            identity_scale=1.0,
            strength=0.85,
            negative_prompt="",  # the captions know no "blurry"
            few_steps=FewSteps(steps=4, scheduler="dpm++2m"),
        ),
        faces=FacesSettings(
            detector_sizes=((INPUT_SIZE, INPUT_SIZE),),
            smallest_face=24,
            confirm_score=CONFIRM_SCORE,
            placement=FACE_PLACEMENT,
            embedding_norms=_embedding_norms(cache / "embeddings" / "lengths-held-out.npy"),
        ),
        component=tuple(
            ComponentDescription(
                name=name,
                path=name,
                kind=kind,
                source="trained by limner train-mini on drawn people",
                revision="1",
                licence=LICENCE,
            )
            for name, kind in _KINDS.items()
        ),
    )


def _embedding_norms(file: Path) -> tuple[float, float] | None:
    """The lengths that embeddings of drawn people have, with a margin."""
    if not file.exists():
        return None
    lengths: NDArray[np.float16] = np.load(file)
    least, greatest = float(lengths.min()), float(lengths.max())
    return round(least * (1 - LENGTH_MARGIN), 2), round(greatest * (1 + LENGTH_MARGIN), 2)


def _halve(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half() for name, value in load_file(source).items()}, target)


def _copy(source: Path, target: Path) -> None:
    """The plain files of a stage's folder; hidden ones are another run's leftovers."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.glob("[!.]*")):
        shutil.copyfile(file, target / file.name)


def _bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
