"""The autoencoder: diffusers' AutoencoderTiny, 8 times smaller on a side, eight latent channels, no
norms.

Its decoder begins with tanh(x / 3) * 3, which bounds the latents, so that the noise added to them
while training cannot be outgrown: the decoder learns to forgive what the denoiser will get slightly
wrong. Eyes and mouths weigh more than backgrounds, for identity lives there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from torch import Tensor, nn

from .data import Pictures
from .loop import Schedule
from .start import gentler, load_start

# Images in [-1, 1], [batch, 3, S, S] -> feature maps of any sizes; frozen, differentiable.
Features = Callable[[Tensor], Sequence[Tensor]]


# Of a face's box, so that earrings count as a part of the face.
FACE_REACH = 1.25


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes and loss weights. One width for all levels: AutoencoderTiny's strided kernels keep the
    width.
    """

    width: int = 48
    latent_channels: int = 8
    encoder_blocks: tuple[int, ...] = (0, 1, 2, 3)
    decoder_blocks: tuple[int, ...] = (3, 2, 1, 0)
    latent_noise: float = 0.1
    square_weight: float = 2.0
    gradient_weight: float = 0.5
    face_weight: float = 3.0  # at the eyes and the mouth, over 1 elsewhere
    skin_weight: float = 1.5  # on the whole face and its earrings, for the lines of age
    perceptual_weight: float = 0.14
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            learning_rate=1.5e-3,
            batch_size=8,
            warmup_steps=100,
            weight_decay=0.0,
            ema_decay=0.998,
            betas=(0.9, 0.99),
            channels_last=True,
            clip_norm=0.5,
            orthogonal=True,
        )
    )


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Train on `pictures`, judge on `held_out`; `features`, where given, adds a perceptual term.

    start: a folder in diffusers' layout whose weights are trained on; None begins from nothing.
    """

    config: AutoencoderConfig
    pictures: Pictures
    held_out: Pictures
    features: Features | None = None
    start: Path | None = None
    name: str = "autoencoder"

    @property
    def schedule(self) -> Schedule:
        schedule = self.config.schedule
        return schedule if self.start is None else gentler(schedule)

    def build(self) -> AutoencoderTiny:
        config = self.config
        widths = (config.width,) * len(config.encoder_blocks)
        model = AutoencoderTiny(
            encoder_block_out_channels=widths,
            decoder_block_out_channels=widths,
            num_encoder_blocks=config.encoder_blocks,
            num_decoder_blocks=config.decoder_blocks,
            latent_channels=config.latent_channels,
        )
        if self.start is None:
            _start_quietly(model)
        else:
            load_start(model, AutoencoderTiny.from_pretrained(self.start).state_dict())
        return model

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        chosen = np.sort(self.pictures.sample(rng, self.schedule.batch_size))
        images = self.pictures.images[chosen]
        landmarks = self.pictures.landmarks[chosen]
        flipped = rng.random(len(chosen)) < 0.5
        images[flipped] = images[flipped, :, ::-1]
        size = self.pictures.size
        landmarks[flipped, :, 0] = size - landmarks[flipped, :, 0]
        boxes = np.array(self.pictures.boxes[chosen])
        boxes[flipped, 0], boxes[flipped, 2] = size - boxes[flipped, 2], size - boxes[flipped, 0]
        weights = face_weights(landmarks, size, self.config.face_weight)
        weights *= inside_faces(boxes, size, self.config.skin_weight, FACE_REACH)
        shape = (len(chosen), self.config.latent_channels, *[size // 8] * 2)
        return {
            "images": image_tensor(images),
            "weights": torch.from_numpy(weights),
            "noise": torch.from_numpy(rng.standard_normal(shape, np.float32)),
        }

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, AutoencoderTiny)
        images, weights = batch["images"], batch["weights"]
        latents = model.encoder(images)
        drawn = model.decoder(latents + self.config.latent_noise * batch["noise"]).float()
        if drawn.requires_grad:
            # sliced differences send their gradient back in another layout: twice as slow
            drawn.register_hook(
                lambda gradient: gradient.contiguous(memory_format=torch.channels_last)
            )
        error = drawn - images
        absolute = (weights * error.abs()).mean()
        square = (weights * error.square()).mean()
        edges = _edges(error).mean() if self.config.gradient_weight else error.new_zeros(())
        total = absolute + self.config.square_weight * square
        total = total + self.config.gradient_weight * edges
        # nothing else keeps the latents inside the decoder's clamp
        total = total + 0.01 * F.relu(latents.float().abs() - 3.0).mean()
        figures = {"psnr": float(psnr(error.detach()).mean()), "std": float(latents.detach().std())}
        if self.features is not None:
            perceptual = _perceptual(self.features, drawn, images)
            total = total + self.config.perceptual_weight * perceptual
            figures["perceptual"] = float(perceptual.detach())
        return total, figures

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, AutoencoderTiny)
        count = min(256, len(self.held_out))
        device = next(model.parameters()).device
        figures = [
            psnr(model.decoder(model.encoder(images)).float() - images)
            for images in _batches(self.held_out.images[:count], 32, device)
        ]
        return {"psnr": float(torch.cat(figures).mean())}


def image_tensor(images: NDArray[np.uint8]) -> Tensor:
    """uint8 [n, S, S, 3] -> float32 [n, 3, S, S] in [-1, 1], channels last in memory."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def psnr(error: Tensor) -> Tensor:
    """dB of each picture, from the error of images in [-1, 1], [n, 3, S, S] -> [n]."""
    return 10 * torch.log10(4.0 / error.square().mean(dim=(1, 2, 3)).clamp_min(1e-10))


def face_weights(landmarks: NDArray[np.float32], size: int, peak: float) -> NDArray[np.float32]:
    """1 everywhere, rising to `peak` at both eyes and the mouth, and halfway at the nose.

    landmarks: float32 [n, 5, 2] pixels. Returns float32 [n, 1, size, size].
    """
    mouth = landmarks[:, 3:].mean(axis=1, keepdims=True)
    points = np.concatenate([landmarks[:, :3], mouth], axis=1)
    heights = np.array([1.0, 1.0, 0.5, 1.0], np.float32)
    axis = np.arange(size, dtype=np.float32)
    spread = np.float32(size * 0.075)
    across = np.exp(-(((axis - points[..., 0, None]) / spread) ** 2))
    down = np.exp(-(((axis - points[..., 1, None]) / (spread * 0.8)) ** 2))
    bumps = np.einsum("p,npy,npx->nyx", heights, down, across).clip(0, 1)
    return np.asarray(1 + (peak - 1) * bumps[:, None], np.float32)


def inside_faces(
    boxes: NDArray[np.float32], size: int, weight: float, reach: float = 1.0
) -> NDArray[np.float32]:
    """`weight` in the ellipse of each box x0, y0, x1, y1 [n, 4], 1 outside: [n, 1, size, size].

    reach: radii of the ellipse in half sides of the box; from 1.25 on, earrings lie inside.
    """
    centre = (np.arange(size, dtype=np.float32) + 0.5)[None]
    x = (centre - (boxes[:, :1] + boxes[:, 2:3]) / 2) / ((boxes[:, 2:3] - boxes[:, :1]) / 2)
    y = (centre - (boxes[:, 1:2] + boxes[:, 3:]) / 2) / ((boxes[:, 3:] - boxes[:, 1:2]) / 2)
    inside = (y[:, None, :, None] ** 2 + x[:, None, None, :] ** 2) <= reach**2
    return np.where(inside, np.float32(weight), np.float32(1))


@torch.no_grad()
def encode_pictures(
    model: AutoencoderTiny, images: NDArray[np.uint8], batch_size: int = 8
) -> Iterator[Tensor]:
    """Raw latents of uint8 [N, S, S, 3], not yet scaled: batches of float32 [n, c, S/8, S/8]."""
    device = next(model.parameters()).device
    for batch in _batches(images, batch_size, device):
        yield model.encoder(batch).float().cpu()


def set_scaling_factor(model: AutoencoderTiny, images: NDArray[np.uint8]) -> float:
    """Measure the latents' spread and write its inverse where pipelines look for it."""
    latents = torch.cat(list(encode_pictures(model, images)))
    factor = round(1.0 / float(latents.std()), 5)
    model.register_to_config(scaling_factor=factor)
    model.scaling_factor = factor
    return factor


def finish(model: nn.Module, pictures: Pictures, directory: Path) -> None:
    """Write the trained autoencoder in diffusers' layout, its scaling factor measured."""
    assert isinstance(model, AutoencoderTiny)
    model.to(memory_format=torch.contiguous_format)
    spread = np.linspace(0, len(pictures) - 1, min(512, len(pictures))).astype(np.int64)
    set_scaling_factor(model, pictures.images[spread])
    model.save_pretrained(directory)


def _batches(images: NDArray[np.uint8], size: int, device: torch.device) -> Iterator[Tensor]:
    for start in range(0, len(images), size):
        yield image_tensor(images[start : start + size]).to(device)


def _edges(error: Tensor) -> Tensor:
    """Absolute differences of neighbours, both ways: what blur gets wrong."""
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return across + down


def _perceptual(features: Features, drawn: Tensor, images: Tensor) -> Tensor:
    """Distance of normalised feature maps, as LPIPS takes it, without its learned weights."""
    with torch.no_grad():
        targets = features(images)
    terms = [
        (F.normalize(mine.float(), dim=1) - F.normalize(other.float(), dim=1))
        .square()
        .sum(1)
        .mean()
        for mine, other in zip(features(drawn), targets, strict=True)
    ]
    return torch.stack(terms).mean()


def _start_quietly(model: AutoencoderTiny) -> None:
    """Without norms, residual branches that start at zero let a high learning rate be stable from
    the first step.
    """
    for module in model.modules():
        if module.__class__.__name__ == "AutoencoderTinyBlock":
            last = module.conv[-1]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
