"""`Engine.from_diffusers(pipe).fuse(...)` draws the same picture as `pipe(...)`."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from numpy.typing import NDArray

from fusion import Engine, FusionRequest, Identity
from tests.fusion.conftest import unit

pytestmark = pytest.mark.filterwarnings(
    # diffusers' schedulers turn tensors into arrays as numpy 1 did
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

PROMPT = "portrait of a woman, age 35, smiling, glasses"
SCHEDULERS = (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
)


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """In decibels; infinite where all is equal."""
    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def by_pipeline(
    pipe: StableDiffusionPipeline,
    embedding: NDArray[np.float32] | None,
    guidance_scale: float,
    **options: Any,
) -> NDArray[np.uint8]:
    identity = None
    if embedding is not None:
        one = torch.from_numpy(embedding)[None, None]
        both = [torch.zeros_like(one), one] if guidance_scale > 1 else [one]
        identity = [torch.cat(both)]
    image = pipe(
        PROMPT,
        num_inference_steps=options.pop("steps", 4),
        guidance_scale=guidance_scale,
        ip_adapter_image_embeds=identity,
        generator=torch.Generator("cpu").manual_seed(11),
        **options,
    ).images[0]
    return np.asarray(image)


def by_engine(
    pipe: StableDiffusionPipeline,
    embedding: NDArray[np.float32] | None,
    guidance_scale: float,
    **options: Any,
) -> NDArray[np.uint8]:
    request = FusionRequest(
        identities=() if embedding is None else (Identity(embedding=embedding),),
        prompt=PROMPT,
        steps=options.pop("steps", 4),
        guidance_scale=guidance_scale,
        seed=11,
        **options,
    )
    with Engine.from_diffusers(pipe) as engine:
        return np.asarray(engine.fuse(request).images[0])


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_with_faceid_every_bit_is_the_pipelines(
    faceid_pipe: StableDiffusionPipeline,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: Any,
    guidance_scale: float,
) -> None:
    other = scheduler.from_config(faceid_pipe.scheduler.config)
    monkeypatch.setattr(faceid_pipe, "scheduler", other)  # it is everyone's
    theirs = by_pipeline(faceid_pipe, unit(1), guidance_scale)
    ours = by_engine(faceid_pipe, unit(1), guidance_scale)
    assert psnr(theirs, ours) >= 55
    assert np.array_equal(theirs, ours)


@pytest.mark.parametrize("scheduler", SCHEDULERS[:4])
@pytest.mark.parametrize("guidance_scale", [0.0, 7.5])
def test_without_faceid_every_bit_is_the_pipelines(
    plain_pipe: StableDiffusionPipeline, scheduler: Any, guidance_scale: float
) -> None:
    plain_pipe.scheduler = scheduler.from_config(plain_pipe.scheduler.config)
    theirs = by_pipeline(plain_pipe, None, guidance_scale)
    assert np.array_equal(theirs, by_engine(plain_pipe, None, guidance_scale))


def test_the_identity_scale_is_the_pipelines(faceid_pipe: StableDiffusionPipeline) -> None:
    faceid_pipe.set_ip_adapter_scale(0.3)
    try:
        theirs = by_pipeline(faceid_pipe, unit(2), 3.0)
        assert np.array_equal(theirs, by_engine(faceid_pipe, unit(2), 3.0)), "left as it is set"
        faceid_pipe.set_ip_adapter_scale(0.9)
        ours = by_engine(faceid_pipe, unit(2), 3.0, identity_scale=0.3)
        assert np.array_equal(theirs, ours), "as the request says"
        assert not np.array_equal(theirs, by_engine(faceid_pipe, unit(2), 3.0))
    finally:
        faceid_pipe.set_ip_adapter_scale(1.0)


def test_ddims_eta_is_the_pipelines(
    faceid_pipe: StableDiffusionPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ddim = DDIMScheduler.from_config(faceid_pipe.scheduler.config)
    monkeypatch.setattr(faceid_pipe, "scheduler", ddim)
    theirs = by_pipeline(faceid_pipe, unit(3), 2.0, eta=0.7)
    assert np.array_equal(theirs, by_engine(faceid_pipe, unit(3), 2.0, eta=0.7))


def test_size_and_negative_prompt_are_the_pipelines(faceid_pipe: StableDiffusionPipeline) -> None:
    theirs = by_pipeline(faceid_pipe, unit(3), 2.0, width=72, height=104, negative_prompt="glasses")
    ours = by_engine(faceid_pipe, unit(3), 2.0, size=(72, 104), negative_prompt="glasses")
    assert theirs.shape == (104, 72, 3)
    assert np.array_equal(theirs, ours)


def test_a_scheduler_by_name_is_the_pipelines_over_the_same_schedule(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    ours = by_engine(faceid_pipe, unit(4), 2.0, scheduler="unipc")
    before = faceid_pipe.scheduler
    faceid_pipe.scheduler = UniPCMultistepScheduler.from_config(before.config)
    try:
        assert np.array_equal(by_pipeline(faceid_pipe, unit(4), 2.0), ours)
    finally:
        faceid_pipe.scheduler = before


def test_without_a_person_the_adapter_is_given_zeros(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    theirs = by_pipeline(faceid_pipe, np.zeros(512, np.float32), 2.0)
    assert np.array_equal(theirs, by_engine(faceid_pipe, None, 2.0))


def test_the_pipeline_is_left_as_it_was(faceid_pipe: StableDiffusionPipeline) -> None:
    before = by_pipeline(faceid_pipe, unit(5), 3.0)
    by_engine(faceid_pipe, unit(6), 2.0, identity_scale=0.1, steps=2)
    assert np.array_equal(before, by_pipeline(faceid_pipe, unit(5), 3.0))
