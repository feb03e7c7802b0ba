"""One memory mode measured in this process, which must be a fresh one: a peak only grows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

from fusion.engine import Engine
from fusion.memory import peak_device_bytes, peak_resident_bytes
from fusion.request import FusionRequest
from fusion.settings import EngineSettings
from fusion.source import BundleSource, Drawer
from fusion.stages.decode import decode, to_image
from fusion.stages.prepare import encode

PORTRAITS = "portraits"  # what those pictures are called; the larger ones by their side


@dataclass(frozen=True)
class MemoryTrial:
    """What a mode took. loaded_bytes, drawn_bytes, decoded_bytes: the most the process had held
    when the models were loaded, the portraits drawn, each side (pixels) decoded.
    device_bytes: the most of a CUDA device, 0 elsewhere. notes: what the mode did.
    """

    mode: str
    loaded_bytes: int
    drawn_bytes: int
    seconds_a_portrait: float
    decoded_bytes: dict[str, int]
    decode_seconds: dict[str, float]
    device_bytes: int
    notes: tuple[str, ...]


def try_memory_mode(
    source: BundleSource, requests: Sequence[FusionRequest], sides: Sequence[int]
) -> tuple[MemoryTrial, dict[str, NDArray[np.uint8]]]:
    """Draw the requests at once, then decode a square picture of each side, smallest first.

    Gives the figures, and the pictures uint8 [n, height, width, 3] by name: PORTRAITS, and sides.
    """
    batch = source.memory.largest_batch
    settings = EngineSettings() if batch is None else EngineSettings(largest_batch=batch)
    with Engine(source, settings) as engine:
        engine.warm()
        loaded = peak_resident_bytes()
        started = time.perf_counter()
        results = list(engine.fuse_all(requests))
        seconds = time.perf_counter() - started
    drawn = peak_resident_bytes()
    images = [image for result in results for image in result.images]
    pictures = {PORTRAITS: np.stack([np.asarray(image) for image in images])}
    drawer = source.drawer()
    small = _latents(drawer, images[0])
    decoded_bytes, decode_seconds = {}, {}
    for side in sorted(sides):
        with torch.inference_mode():
            latents = interpolate(small, size=(side // drawer.factor,) * 2, mode="bilinear")
            started = time.perf_counter()
            pictures[str(side)] = decode(drawer.vae, latents)[None]
        decode_seconds[str(side)] = time.perf_counter() - started
        decoded_bytes[str(side)] = peak_resident_bytes()
    trial = MemoryTrial(
        mode=source.memory.name,
        loaded_bytes=loaded,
        drawn_bytes=drawn,
        seconds_a_portrait=seconds / len(images),
        decoded_bytes=decoded_bytes,
        decode_seconds=decode_seconds,
        device_bytes=peak_device_bytes(drawer.device),
        notes=drawer.done,
    )
    return trial, pictures


def _latents(drawer: Drawer, image: Image.Image) -> Any:
    """A picture's scaled latents: something an autoencoder knows, unlike noise."""
    pixels = np.asarray(image.convert("RGB"))
    with torch.inference_mode():
        return encode(drawer.vae, to_image(pixels, drawer.device, drawer.vae.dtype))
