"""What looks at the pictures: CLIP's towers, and the judges of identity and attributes."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.tiny.networks import tiny_projection
from tests.tiny.pipelines import WIDTH

HEADS = {
    "gender": ["man", "woman"],
    "age": ["young", "middle", "old"],
    "expression": ["neutral", "smiling", "surprised", "sad"],
    "glasses": ["no", "yes"],
    "beard": ["no", "yes"],
    "hat": ["no", "yes"],
    "earrings": ["no", "yes"],
    "hair": ["black", "brown", "blond", "ginger"],
    "clothing": ["red", "white", "purple", "orange", "teal"],
    "background": [
        "blue", "green", "pink", "yellow", "park", "beach", "sunset", "night", "grey",
    ],
    "light": ["front", "left", "right"],
}  # fmt: skip


def write_clip(directory: Path) -> None:
    vision = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=1,
            num_attention_heads=4,
            image_size=64,
            patch_size=16,
            projection_dim=WIDTH,
        )
    )
    vision.half().save_pretrained(directory / "image_encoder")
    preprocessor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 64},
        "crop_size": {"height": 64, "width": 64},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    file = directory / "image_encoder" / "preprocessor_config.json"
    file.write_text(json.dumps(preprocessor, indent=2), encoding="utf-8")
    projection = torch.randn(WIDTH, WIDTH) / WIDTH**0.5
    save_file(
        {"text_projection.weight": projection.half(), "logit_scale": torch.tensor(2.66).half()},
        directory / "text_projection.safetensors",
    )


def write_judges(directory: Path, rng: np.random.Generator) -> None:
    directory.mkdir(exist_ok=True)
    onnx.save(tiny_projection(rng, 112, 16, 512, "embedding"), directory / "recogniser.onnx")
    classes = sum(len(names) for names in HEADS.values())
    onnx.save(tiny_projection(rng, 96, 12, classes, "logits"), directory / "attributes.onnx")
    heads = "\n".join(f"{name} = {json.dumps(names)}" for name, names in HEADS.items())
    text = f"schema = 1\n\n[attributes]\nsize = 96\n\n[attributes.heads]\n{heads}\n"
    (directory / "judges.toml").write_text(text, encoding="utf-8")
