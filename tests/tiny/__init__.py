"""A bundle of random weights in the standard layouts, small enough to build in a second.

It loads through diffusers, transformers and InsightFace like any other bundle, and draws noise. Its
detector is written by hand, so that tests know what it finds: one face in the middle of any picture
that is not dark there, two side by side in a picture at least twice as wide as high, none in a
black one. Its recogniser is a fixed random projection: equal pictures have equal embeddings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

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
from tests.tiny.adapter import write_faceid
from tests.tiny.faces import tiny_detector, write_faces
from tests.tiny.judges import write_clip, write_judges
from tests.tiny.networks import network, tiny_projection
from tests.tiny.pipelines import SIZE, write_sd15, write_sdxl
from tests.tiny.words import tiny_tokenizer, word_pieces

__all__ = [
    "build_tiny_bundle",
    "network",
    "tiny_detector",
    "tiny_projection",
    "tiny_tokenizer",
    "word_pieces",
    "write_faces",
]


def build_tiny_bundle(
    directory: Path, seed: int = 0, lora: bool = False, family: str = "sd15"
) -> Path:
    """Write a sealed bundle of random weights into `directory` and give it back.

    lora: the FaceID file also carries LoRA weights, as the public one does. family: sd15 or sdxl.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        write = {"sd15": write_sd15, "sdxl": write_sdxl}[family]
        unet = write(directory / "pipeline")
        write_faceid(directory / "ip-adapter", unet, lora)
        write_faces(directory / "faces", rng)
        write_clip(directory / "clip")
        write_judges(directory / "judges", rng)
    seal_bundle(directory, _description())
    return directory


def _description() -> BundleDescription:
    parts = {
        "pipeline": ComponentKind.PIPELINE,
        "ip-adapter": ComponentKind.IDENTITY,
        "faces": ComponentKind.FACES,
        "clip": ComponentKind.CLIP,
        "judges": ComponentKind.JUDGES,
    }
    return BundleDescription(
        name="tiny",
        title="Random weights for tests",
        licence="Apache-2.0",
        size=SIZE,
        draws=Draws(
            people="drawn",
            hint="this bundle draws drawn people; for photographs: limner models pull sd15-faceid",
        ),
        defaults=Defaults(
            steps=3,
            guidance_scale=2.5,
            identity_scale=1.0,
            strength=0.6,
            few_steps=FewSteps(steps=2, scheduler="dpm++2m"),
        ),
        faces=FacesSettings(detector_sizes=((128, 128),), smallest_face=24),
        component=tuple(
            ComponentDescription(
                name=name,
                path=name,
                kind=kind,
                source="random weights",
                revision="0",
                licence="Apache-2.0",
            )
            for name, kind in parts.items()
        ),
    )
