"""A bundle through diffusers alone, what a pipeline draws, and files to spoil."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from models import Bundle, BundleCorrupt, load_components, quiet_libraries

PROMPT = "portrait of a woman, age 35, smiling, glasses, blue background"
WEIGHTS = "ip-adapter-faceid.safetensors"
Pipeline = StableDiffusionPipeline | StableDiffusionXLPipeline


def by_diffusers(directory: Path, faceid: bool = True) -> Pipeline:
    """A bundle's files through diffusers alone."""
    with quiet_libraries():
        pipeline = DiffusionPipeline.from_pretrained(
            directory / "pipeline",
            local_files_only=True,
            dtype=torch.float32,  # else transformers keeps the file's fp16, diffusers does not
        )
        if faceid:
            pipeline.load_ip_adapter(
                directory, subfolder="ip-adapter", weight_name=WEIGHTS, image_encoder_folder=None
            )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def embedding(seed: int = 0) -> torch.Tensor:
    values = torch.randn(1, 512, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values)


def draw(pipeline: Pipeline, identity: torch.Tensor | None) -> np.ndarray:
    options: dict[str, Any] = {}
    if identity is not None:
        pair = torch.cat([torch.zeros_like(identity), identity])[:, None]
        options["ip_adapter_image_embeds"] = [pair]
    result = pipeline(
        PROMPT,
        num_inference_steps=2,
        guidance_scale=3.0,
        height=128,
        width=128,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
        **options,
    )
    return np.asarray(result.images[0])


def refused(bundle: Bundle) -> str:
    with pytest.raises(BundleCorrupt) as caught:
        load_components(bundle, device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit_json(file: Path, **changes: object) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def edit_weights(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
