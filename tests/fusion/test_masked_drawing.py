"""Fusion into a target: drawn as diffusers inpaints, the rest of the target untouched."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fusion import (
    Engine,
    EngineSettings,
    FacePlacement,
    FusionRequest,
    Identity,
    soft_mask,
)
from fusion.denoiser import RowDenoiser
from fusion.sampler import Anchor, scheduler_like, start_row
from fusion.stages.decode import to_image
from fusion.stages.prepare import encode
from tests.fusion.conftest import Scripted, conditioning_of, drawn, face_at, painting, unit

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
SCHEDULERS = (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
CPU = torch.device("cpu")


def free_cells() -> torch.Tensor:
    """Which of 16 × 16 latents may change: a block in the middle."""
    free = torch.zeros(1, 1, 16, 16)
    free[:, :, 4:13, 3:12] = 1
    return free


@torch.inference_mode()
def drawn_latents(
    pipe: StableDiffusionPipeline, strength: float, free: torch.Tensor, steps: int = 5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Our final latents, and the target's."""
    target = encode(pipe.vae, to_image(painting(0), CPU, torch.float32))
    row = start_row(
        scheduler_like(pipe.scheduler, "bundle"),
        shape=(4, 16, 16),
        steps=steps,
        seed=5,
        guidance_scale=2.0,
        device=CPU,
        dtype=torch.float32,
        strength=strength,
        anchor=Anchor(target, free),
    )
    (latents,) = drawn(RowDenoiser(pipe.unet), [row], conditioning_of(pipe, "portrait", 1))
    return latents, target


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_drawing_is_that_of_diffusers_inpainting(
    faceid_pipe: StableDiffusionPipeline,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: Any,
    strength: float,
) -> None:
    other = scheduler.from_config(faceid_pipe.scheduler.config)
    monkeypatch.setattr(faceid_pipe, "scheduler", other)  # it is everyone's
    ours, _ = drawn_latents(faceid_pipe, strength, free_cells())
    inpainting = StableDiffusionInpaintPipeline(
        **faceid_pipe.components, requires_safety_checker=False
    )
    inpainting.set_progress_bar_config(disable=True)
    mask = np.kron(free_cells()[0, 0].numpy(), np.ones((8, 8))) * 255
    identity = torch.from_numpy(unit(1))[None, None]
    theirs = inpainting(
        "portrait",
        image=Image.fromarray(painting(0)),
        mask_image=Image.fromarray(mask.astype(np.uint8)),
        strength=strength,
        num_inference_steps=5,
        guidance_scale=2.0,
        ip_adapter_image_embeds=[torch.cat([torch.zeros_like(identity), identity])],
        generator=torch.Generator("cpu").manual_seed(5),
        output_type="latent",
    ).images
    assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_latents_that_are_not_free_end_as_the_targets(
    faceid_pipe: StableDiffusionPipeline,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: Any,
    strength: float,
) -> None:
    other = scheduler.from_config(faceid_pipe.scheduler.config)
    monkeypatch.setattr(faceid_pipe, "scheduler", other)  # it is everyone's
    free = free_cells()
    latents, target = drawn_latents(faceid_pipe, strength, free)
    kept = (free == 0).expand_as(latents)
    assert torch.equal(latents[kept], target[kept])
    assert not torch.allclose(latents[~kept], target[~kept], atol=1e-2)


def test_strength_decides_how_many_steps_are_done(engine: Engine) -> None:
    identity = Identity(embedding=unit(1))
    for strength, steps in ((0.01, 1), (0.5, 5), (0.99, 9), (1.0, 10)):
        request = FusionRequest(
            identities=(identity,), target=painting(1), steps=10, strength=strength, verify=False
        )
        assert engine.fuse(request).usage.steps == steps


@settings(max_examples=10, deadline=None)
@given(
    width=st.integers(40, 300), height=st.integers(40, 300), seed=st.integers(0, 99),
    x=st.floats(0, 1), y=st.floats(0, 1), share=st.floats(0.1, 0.8),
)  # fmt: skip
def test_outside_the_mask_every_byte_is_the_targets(
    faceid_pipe: StableDiffusionPipeline,
    width: int, height: int, seed: int, x: float, y: float, share: float,
) -> None:  # fmt: skip
    target = painting(seed, width, height)
    side = max(share * min(width, height), 9)  # 8 are needed, and float32 rounds
    face = face_at(x * (width - side), y * (height - side), side, unit(9))
    engine = Engine.from_diffusers(faceid_pipe, Scripted(lambda _: (face,)))
    identity = Identity(embedding=unit(1))
    result = engine.fuse(FusionRequest(identities=(identity,), target=target, steps=1))
    drawn = np.asarray(result.images[0])
    assert drawn.shape == target.shape
    outside = soft_mask(face.landmarks, (width, height)) == 0
    assert np.array_equal(drawn[outside], target[outside])
    middle = np.round(face.landmarks[2]).astype(int)
    assert (drawn[middle[1] - 2 : middle[1] + 3] != target[middle[1] - 2 : middle[1] + 3]).any()


def test_the_mask_ends_within_the_square_that_is_worked_on(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    target = painting(2, 400, 300)
    face = face_at(180, 120, 60, unit(9))
    engine = Engine.from_diffusers(
        faceid_pipe,
        Scripted(lambda _: (face,)),
        EngineSettings(placement=FacePlacement(0.5, 0.5, 0.9)),
    )
    identity = Identity(embedding=unit(1))
    result = engine.fuse(FusionRequest(identities=(identity,), target=target, steps=1))
    drawn = np.asarray(result.images[0])
    changed = np.argwhere((drawn != target).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    half = round(60 / 0.9) / 2 + 1
    assert top >= 150 - half
    assert bottom <= 150 + half
    assert left >= 210 - half
    assert right <= 210 + half
    edge = np.abs(drawn[:, left].astype(int) - target[:, left])
    assert edge.max() < 16, "no seam at the square's border"


def test_a_target_without_identities_keeps_its_own_person(engine: Engine) -> None:
    target = painting(3)
    result = engine.fuse(FusionRequest(target=target, attributes={"hat": True}, steps=2))
    assert any("own person" in text for text in result.trace.decisions)
    named = FusionRequest(
        identities=(Identity(image=target),), target=target, attributes={"hat": True}, steps=2
    )
    assert np.array_equal(np.asarray(result.images[0]), np.asarray(engine.fuse(named).images[0]))


def test_a_head_larger_than_the_models_picture_is_told(engine: Engine) -> None:
    request = FusionRequest(
        identities=(Identity(embedding=unit(1)),), target=painting(4, 600, 600), steps=1
    )
    assert any("softer" in text for text in engine.fuse(request).trace.downgrades)
