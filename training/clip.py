"""CLIP in small: a causal text tower that conditions the denoiser, a vision tower that checks the
result.

Both are transformers' own classes inside a CLIPModel, trained contrastively. Helper heads that name
the attributes from either embedding make it quick: a minute of contrast alone would learn
backgrounds and little else. They are thrown away afterwards, and the text tower is frozen for the
denoiser.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from .data import HEADS, UNSEEN, Pictures
from .loop import Schedule
from .tokenizer import MAX_LENGTH


@dataclass(frozen=True)
class ClipConfig:
    """Sizes of both towers; image_size: pixels the vision tower sees, halved from the pictures by
    averaging.
    """

    width: int = 128
    layers: int = 2
    heads: int = 4
    vision_width: int = 128
    vision_layers: int = 3
    vision_heads: int = 4
    image_size: int = 64
    patch_size: int = 8
    projection: int = 128
    helper_weight: float = 1.0
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            learning_rate=1.5e-3,
            batch_size=128,
            warmup_steps=40,
            weight_decay=0.05,
            ema_decay=0.99,
            betas=(0.9, 0.98),
            orthogonal=True,
        )
    )


class ClipWithHelpers(nn.Module):
    """The CLIPModel and the linear heads that only training uses."""

    def __init__(self, clip: CLIPModel, projection: int) -> None:
        super().__init__()
        self.clip = clip
        classes = sum(len(names) for names in HEADS.values())
        self.text_heads = nn.Linear(projection, classes)
        self.image_heads = nn.Linear(projection, classes)


@dataclass(frozen=True)
class ClipRecipe:
    """Contrast pictures with their captions; `tokenizer` is the bundle's own."""

    config: ClipConfig
    pictures: Pictures
    held_out: Pictures
    tokenizer: CLIPTokenizer
    name: str = "clip"

    @property
    def schedule(self) -> Schedule:
        return self.config.schedule

    def build(self) -> ClipWithHelpers:
        config, tokenizer = self.config, self.tokenizer
        text = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=MAX_LENGTH,
            projection_dim=config.projection,
            # never 2: transformers then pools at the highest id instead of the end
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        vision = CLIPVisionConfig(
            hidden_size=config.vision_width,
            intermediate_size=4 * config.vision_width,
            num_hidden_layers=config.vision_layers,
            num_attention_heads=config.vision_heads,
            image_size=config.image_size,
            patch_size=config.patch_size,
            projection_dim=config.projection,
        )
        clip = CLIPModel(
            CLIPConfig(
                text_config=text.to_dict(),
                vision_config=vision.to_dict(),
                projection_dim=config.projection,
            )
        )
        return ClipWithHelpers(clip, config.projection)

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        chosen = np.sort(self.pictures.sample(rng, self.schedule.batch_size))
        captions = [self.pictures.describe(rng, int(index)) for index in chosen]
        known = [[head in caption.said for head in HEADS] for caption in captions]
        return {
            "input_ids": tokenize(self.tokenizer, [caption.text for caption in captions]),
            "images": vision_input(self.pictures.images[chosen], self.config.image_size),
            "labels": torch.from_numpy(self.pictures.labels[chosen].astype(np.int64)),
            "said": torch.tensor(known),
        }

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, ClipWithHelpers)
        text, image = embed(model.clip, batch["input_ids"], batch["images"])
        scale = model.clip.logit_scale.exp().clamp(max=100.0)
        logits = scale * F.normalize(text, dim=1) @ F.normalize(image, dim=1).T
        target = torch.arange(len(logits), device=logits.device)
        contrast = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        labels = batch["labels"]
        said = labels.masked_fill(~batch["said"], UNSEEN)
        helpers = _head_loss(model.text_heads(text), said) + _head_loss(
            model.image_heads(image), labels
        )
        matched = (logits.argmax(dim=1) == target).float().mean()
        return contrast + self.config.helper_weight * helpers, {
            "contrast": float(contrast.detach()),
            "helpers": float(helpers.detach()),
            "matched": float(matched),
        }

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Top-1 among 128 held-out pairs, and the mean accuracy of attributes read off the
        pictures.
        """
        assert isinstance(model, ClipWithHelpers)
        rng = np.random.default_rng(0)
        device = next(model.parameters()).device
        chosen = np.sort(rng.permutation(len(self.held_out))[:512])
        captions = [self.held_out.describe(rng, int(index), drop=0.0).text for index in chosen]
        text, image = embed(
            model.clip,
            tokenize(self.tokenizer, captions).to(device),
            vision_input(self.held_out.images[chosen], self.config.image_size).to(device),
        )
        matched: list[float] = []
        for group in np.array_split(np.random.default_rng(1).permutation(len(chosen)), 4):
            logits = (
                F.normalize(text[group].float(), dim=1) @ F.normalize(image[group].float(), dim=1).T
            )
            target = torch.arange(len(group), device=device)
            matched.append(float((logits.argmax(dim=1) == target).float().mean()))
        labels = torch.from_numpy(self.held_out.labels[chosen].astype(np.int64)).to(device)
        return {
            "matched": float(np.mean(matched)),
            "text accuracy": _head_accuracy(model.text_heads(text), labels),
            "image accuracy": _head_accuracy(model.image_heads(image), labels),
        }


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """int64 [batch, 77], padded with the end token as Stable Diffusion's pipelines pad."""
    encoded = tokenizer(
        captions, padding="max_length", max_length=MAX_LENGTH, truncation=True, return_tensors="pt"
    )
    ids = encoded["input_ids"]
    assert isinstance(ids, Tensor)
    return ids


def vision_input(images: NDArray[np.uint8], size: int) -> Tensor:
    """uint8 [n, S, S, 3] -> float32 [n, 3, size, size] in [-1, 1], averaged down."""
    pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
    return F.interpolate(pixels, (size, size), mode="area") / 127.5 - 1


def embed(clip: CLIPModel, input_ids: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Projected embeddings of texts and pictures, each [batch, projection], not normalised."""
    text = clip.text_projection(clip.text_model(input_ids=input_ids).pooler_output)
    image = clip.visual_projection(clip.vision_model(pixel_values=images).pooler_output)
    return text, image


def _widths() -> list[int]:
    return [len(names) for names in HEADS.values()]


def _head_loss(logits: Tensor, labels: Tensor) -> Tensor:
    parts = torch.split(logits.float(), _widths(), dim=1)
    losses = [
        F.cross_entropy(part, labels[:, k], ignore_index=UNSEEN, reduction="sum")
        / (labels[:, k] != UNSEEN).sum().clamp_min(1)
        for k, part in enumerate(parts)
    ]
    return torch.stack(losses).mean()


def _head_accuracy(logits: Tensor, labels: Tensor) -> float:
    parts = torch.split(logits, _widths(), dim=1)
    right = [
        (part.argmax(dim=1) == labels[:, k])[labels[:, k] != UNSEEN].float().mean()
        for k, part in enumerate(parts)
    ]
    return float(torch.stack(right).nanmean())


def finish(model: nn.Module, image_size: int, directory: Path) -> None:
    """Write text_encoder/ (CLIPTextModel) for the pipeline, and image_encoder/ with
    text_projection.safetensors.
    """
    assert isinstance(model, ClipWithHelpers)
    clip = model.clip
    text = CLIPTextModel(clip.config.text_config)
    text.load_state_dict(clip.text_model.state_dict())
    text.save_pretrained(directory / "text_encoder")
    vision = CLIPVisionModelWithProjection(clip.config.vision_config)
    vision.vision_model.load_state_dict(clip.vision_model.state_dict())
    vision.visual_projection.load_state_dict(clip.visual_projection.state_dict())
    vision.save_pretrained(directory / "image_encoder")
    preprocessor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": image_size},
        "crop_size": {"height": image_size, "width": image_size},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    file = directory / "image_encoder" / "preprocessor_config.json"
    file.write_text(json.dumps(preprocessor, indent=2) + "\n", encoding="utf-8")
    projection = {
        "text_projection.weight": clip.text_projection.weight.detach().clone(),
        "logit_scale": clip.logit_scale.detach().clone(),
    }
    save_file(projection, directory / "text_projection.safetensors")
