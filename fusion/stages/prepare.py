"""prepare: the target's square as latents, and rows of noise to draw from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion.fast import EXACT, FastSettings
from fusion.given_mask import share_within, softened
from fusion.mask import MaskShape, face_frame, latent_mask, mask_share
from fusion.placement import Square
from fusion.resolved import ResolvedRequest
from fusion.sampler import Anchor, Row, scheduler_like, start_row
from fusion.stages.compose import Canvas
from fusion.stages.decode import in_float32, to_image
from fusion.stages.photos import Photos
from fusion.trace import Notes
from models import Face


def prepare_canvas(
    photos: Photos, face: Face, square: Square, model_side: int, shape: MaskShape, notes: Notes
) -> Canvas:
    """The square of the target that is worked on, and the mask in it: what was given, or the head.

    face: of the target; square: around it.
    """
    target, mask = photos.target, photos.mask
    assert target is not None
    height, width = target.pixels.shape[:2]
    landmarks = np.asarray(face.landmarks)
    given = None
    if mask is not None:
        edge_pixels = shape.edge * face_frame(landmarks, shape).eye_distance
        given = softened(mask.pixels, square, edge_pixels)
    canvas = Canvas(target.pixels, square, model_side, landmarks, shape, given)
    if square.side == model_side and (width, height) == (model_side, model_side):
        notes.decided("target: taken whole")
    else:
        notes.decided(
            f"target: a square of {square.side} pixels at {square.left}, {square.top}, "
            f"drawn at {model_side}"
        )
    if square.side > model_side:
        notes.downgraded(
            f"target: the square around its head, {square.side} pixels, is drawn at {model_side}, "
            "so the head is softer than its surroundings"
        )
    origin = "" if mask is None else ", as given"
    notes.decided(f"mask: {mask_share(canvas.mask(model_side)):.0%} of the square{origin}")
    if mask is not None and (within := share_within(mask.pixels, square)) < 1:
        notes.downgraded(
            f"mask: {max(1 - within, 0.001):.1%} of it lies outside of the square around the head, "
            "and stays as it was"
        )
    return canvas


def anchor_of(
    canvas: Canvas,
    vae: Any,
    factor: int,
    device: torch.device,
    dtype: torch.dtype,
    *,
    upcasts: bool = False,
) -> Anchor:
    """The square as latents, and which of them may change. factor: pixels per latent; upcasts: the
    autoencoder overflows in its own precision (see `decode`).
    """
    if upcasts:
        vae = in_float32(vae, device)
    image = to_image(canvas.picture(), device, vae.dtype)
    latents = encode(vae, image).to(dtype)
    free = torch.from_numpy(latent_mask(canvas.mask(canvas.side), factor))
    return Anchor(latents, free.to(device=device, dtype=dtype)[None, None])


def encode(vae: Any, image: Tensor) -> Tensor:
    """Scaled latents of a picture [1, 3, h, w] in [-1, 1]; of a distribution its mode."""
    encoded = vae.encode(image)
    distribution = getattr(encoded, "latent_dist", None)
    latents: Tensor = encoded.latents if distribution is None else distribution.mode()
    return latents * float(vae.config.scaling_factor)


def prepare_row(
    request: ResolvedRequest,
    scheduler: Any,
    *,
    seed: int,
    shape: tuple[int, int, int],
    device: torch.device,
    dtype: torch.dtype,
    anchor: Anchor | None,
    fast: FastSettings,
) -> Row:
    """One picture of the request at its first noise level. shape: of the latents. fast: what is
    approximated if the request asks for it.
    """
    return start_row(
        scheduler_like(scheduler, request.scheduler),
        shape=shape,
        steps=request.steps,
        seed=seed,
        guidance_scale=request.guidance_scale,
        device=device,
        dtype=dtype,
        strength=request.strength,
        eta=request.eta,
        anchor=anchor,
        guidance_interval=request.guidance_interval,
        fast=fast if request.mode == "fast" else EXACT,
    )
