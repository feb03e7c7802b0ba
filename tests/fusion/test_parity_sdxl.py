"""`Engine.from_diffusers(pipe).fuse(...)` draws what a StableDiffusionXLPipeline draws itself."""

from pathlib import Path
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
    StableDiffusionXLPipeline,
    UniPCMultistepScheduler,
)

from fusion import (
    Engine,
    EngineSettings,
    EventKind,
    FusionRequest,
    Identity,
    PressureSettings,
    PromptSettings,
)
from models import load_components, open_bundle
from tests.fusion.conftest import painting, unit
from tests.fusion.test_parity import PROMPT, by_engine, by_pipeline, psnr

pytestmark = pytest.mark.filterwarnings(
    # diffusers' schedulers turn tensors into arrays as numpy 1 did
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
SCHEDULERS = (
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
    HeunDiscreteScheduler,
)
TOLERANCE_DB = 60.0  # where a batch of another shape takes other kernels


@pytest.fixture(scope="module")
def sdxl_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import build_tiny_bundle

    return build_tiny_bundle(tmp_path_factory.mktemp("sdxl") / "tiny", family="sdxl")


@pytest.fixture
def pipe(sdxl_bundle: Path) -> StableDiffusionXLPipeline:
    return load_components(open_bundle(sdxl_bundle), device="cpu").pipeline()


def plain(pipe: StableDiffusionXLPipeline) -> StableDiffusionXLPipeline:
    pipe.unload_ip_adapter()
    return pipe


def person(seed: int) -> tuple[Identity, ...]:
    return (Identity(embedding=unit(seed)),)


class TestEveryBit:
    @pytest.mark.parametrize("scheduler", SCHEDULERS)
    @pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
    def test_with_faceid(
        self, pipe: StableDiffusionXLPipeline, scheduler: Any, guidance_scale: float
    ) -> None:
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
        theirs = by_pipeline(pipe, unit(1), guidance_scale)
        assert theirs.std() > 5, "a flat picture proves nothing"
        assert np.array_equal(theirs, by_engine(pipe, unit(1), guidance_scale))

    @pytest.mark.parametrize("guidance_scale", [0.0, 7.5])
    def test_without_faceid(self, pipe: StableDiffusionXLPipeline, guidance_scale: float) -> None:
        theirs = by_pipeline(plain(pipe), None, guidance_scale)
        assert np.array_equal(theirs, by_engine(pipe, None, guidance_scale))

    @pytest.mark.parametrize("negative_prompt", [None, "", "glasses, hat"])
    @pytest.mark.parametrize("zeroes", [True, False])
    def test_what_is_said_against(
        self, pipe: StableDiffusionXLPipeline, negative_prompt: str | None, zeroes: bool
    ) -> None:
        pipe.register_to_config(force_zeros_for_empty_prompt=zeroes)
        given = {"negative_prompt": negative_prompt}
        theirs = by_pipeline(pipe, unit(2), 5.0, **given)
        assert np.array_equal(theirs, by_engine(pipe, unit(2), 5.0, **given))

    def test_no_words_against_and_the_empty_words_are_not_the_same(
        self, pipe: StableDiffusionXLPipeline
    ) -> None:
        unsaid, empty = (by_engine(pipe, unit(2), 5.0, negative_prompt=n) for n in (None, ""))
        assert not np.array_equal(unsaid, empty)

    @pytest.mark.parametrize(("width", "height"), [(72, 104), (160, 64)])
    def test_a_size_of_its_own(
        self, pipe: StableDiffusionXLPipeline, width: int, height: int
    ) -> None:
        theirs = by_pipeline(pipe, unit(3), 3.0, width=width, height=height)
        assert theirs.shape == (height, width, 3)
        assert np.array_equal(theirs, by_engine(pipe, unit(3), 3.0, size=(width, height)))

    def test_the_identity_scale(self, pipe: StableDiffusionXLPipeline) -> None:
        pipe.set_ip_adapter_scale(0.3)
        theirs = by_pipeline(pipe, unit(2), 3.0)
        assert np.array_equal(theirs, by_engine(pipe, unit(2), 3.0)), "left as it is set"
        assert not np.array_equal(theirs, by_engine(pipe, unit(2), 3.0, identity_scale=1.0))

    @pytest.mark.filterwarnings("ignore:`upcast_vae` is deprecated:FutureWarning")
    def test_an_autoencoder_that_overflows_in_fp16(self, pipe: StableDiffusionXLPipeline) -> None:
        """Both decode in float32, and only one of them casts the pipeline's own weights for it."""
        for model in (pipe.unet, pipe.vae, pipe.text_encoder, pipe.text_encoder_2):
            model.half()
        ours = by_engine(pipe, unit(1), 5.0)
        assert pipe.vae.dtype is torch.float16
        assert np.array_equal(by_pipeline(pipe, unit(1).astype(np.float16), 5.0), ours)

    def test_v_prediction(self, pipe: StableDiffusionXLPipeline) -> None:
        pipe.scheduler.register_to_config(prediction_type="v_prediction")
        theirs = by_pipeline(pipe, unit(4), 3.0)
        assert np.array_equal(theirs, by_engine(pipe, unit(4), 3.0))

    def test_what_is_done_when_nothing_is_said(self, pipe: StableDiffusionXLPipeline) -> None:
        with Engine.from_diffusers(pipe) as engine:
            resolved = engine.resolve(FusionRequest(prompt=PROMPT))
        assert (resolved.guidance_scale, resolved.size) == (5.0, (128, 128))

    def test_what_is_not_done_of_the_pipelines_is_told(
        self, pipe: StableDiffusionXLPipeline
    ) -> None:
        pipe.watermark = object()
        with Engine.from_diffusers(pipe) as engine:
            told = engine.fuse(FusionRequest(prompt=PROMPT, steps=1)).warnings
        assert told == ("the pipeline's invisible watermark was not added",)


class TestTheEngine:
    """Everything around the pipeline's own picture works as with one text encoder."""

    REQUESTS = (
        FusionRequest(identities=person(1), prompt="portrait of a man, hat", seed=1, steps=4),
        FusionRequest(
            identities=person(2), prompt="old woman", seed=2, steps=6, guidance_scale=1.0
        ),
        FusionRequest(prompt="smiling", negative_prompt="beard", seed=3, steps=3, size=(72, 104)),
        FusionRequest(identities=person(3), attributes={"age": 40}, seed=4, size=(72, 104)),
    )

    def test_a_mixed_batch_draws_what_each_draws_alone(self, sdxl_bundle: Path) -> None:
        with Engine.load(sdxl_bundle, device="cpu") as engine:
            together = [one.images[0] for one in engine.fuse_all(self.REQUESTS)]
        with Engine.load(sdxl_bundle, device="cpu") as engine:
            for request, drawn in zip(self.REQUESTS, together, strict=True):
                alone = np.asarray(engine.fuse(request).images[0])
                assert psnr(alone, np.asarray(drawn)) >= TOLERANCE_DB

    def test_a_bundle_draws_what_its_pipeline_draws(
        self, sdxl_bundle: Path, pipe: StableDiffusionXLPipeline
    ) -> None:
        request = FusionRequest(
            identities=person(5), prompt=PROMPT, steps=4, guidance_scale=5.0, seed=11
        )
        with Engine.load(sdxl_bundle, device="cpu") as engine:
            ours = np.asarray(engine.fuse(request).images[0])
        assert psnr(by_pipeline(pipe, unit(5), 5.0), ours) >= TOLERANCE_DB

    def test_both_encoders_positions_are_told_and_remembered(
        self, pipe: StableDiffusionXLPipeline
    ) -> None:
        request = FusionRequest(prompt="hat", negative_prompt="beard", steps=1)
        with Engine.from_diffusers(pipe) as engine:
            first, again = engine.fuse(request).usage, engine.fuse(request).usage
        assert first.positions_computed + first.positions_reused == 2 * 2 * 77
        assert (again.positions_computed, again.positions_reused) == (0, 2 * 2 * 77)
        assert again.projections_computed == 0

    def test_what_is_not_said_costs_nothing(self, pipe: StableDiffusionXLPipeline) -> None:
        with Engine.from_diffusers(pipe) as engine:
            usage = engine.fuse(FusionRequest(prompt="hat", steps=1)).usage
        assert usage.positions_computed + usage.positions_reused == 2 * 77

    def test_a_saved_pool_starts_another_engine_warm(
        self, pipe: StableDiffusionXLPipeline, tmp_path: Path
    ) -> None:
        request = FusionRequest(attributes={"age": 30}, steps=1)
        with Engine.from_diffusers(pipe) as engine:
            assert list(engine.encode_prompts([request]))
            assert engine.prompts.save(tmp_path) == 4
        settings = EngineSettings(prompts=PromptSettings(warm_from=tmp_path))
        with Engine.from_diffusers(pipe, settings=settings) as engine:
            assert engine.fuse(request).usage.positions_computed == 0

    def test_a_fusion_leaves_the_rest_of_its_target(self, sdxl_bundle: Path) -> None:
        target, mask = painting(1), np.zeros((128, 128), np.uint8)
        mask[32:96, 32:96] = 255
        request = FusionRequest(
            identities=person(1), target=target, mask=mask, prompt=PROMPT, steps=4, strength=0.8
        )
        with Engine.load(sdxl_bundle, device="cpu") as engine:
            drawn = np.asarray(engine.fuse(request).images[0])
        assert drawn.shape == target.shape
        assert np.array_equal(drawn[mask == 0], target[mask == 0])
        assert np.abs(drawn[48:80, 48:80].astype(int) - target[48:80, 48:80]).mean() > 5

    def test_fast_mode_draws_most_steps_by_the_outermost_blocks(self, sdxl_bundle: Path) -> None:
        request = FusionRequest(identities=person(1), prompt=PROMPT, steps=8, seed=1)
        with Engine.load(sdxl_bundle, device="cpu") as engine:
            exact = engine.fuse(request)
            fast = engine.fuse(request.model_copy(update={"mode": "fast"}))
        assert fast.usage.shallow_evaluations > fast.usage.denoiser_evaluations / 2
        assert 15 < psnr(np.asarray(exact.images[0]), np.asarray(fast.images[0])) < 100

    def test_previews_are_shown_along_the_way(self, sdxl_bundle: Path) -> None:
        with Engine.load(sdxl_bundle, device="cpu") as engine:
            handle = engine.submit(FusionRequest(prompt=PROMPT, steps=6, previews=2))
            shown = [one.image for one in handle.events() if one.kind is EventKind.PREVIEW]
        assert [image.size for image in shown if image is not None] == [(128, 128)] * 2

    def test_less_under_pressure_is_said_to_the_denoiser_too(self, sdxl_bundle: Path) -> None:
        """The sizes it is told are those drawn, not those asked for."""
        nearly_full = PressureSettings(memory=(1e-6, 1.0, 1.0), recovery=0.0)
        settings = EngineSettings(pressure=nearly_full)
        request = FusionRequest(prompt=PROMPT, steps=3, seed=11, guidance_scale=3.0)
        with Engine.load(sdxl_bundle, device="cpu", settings=settings) as engine:
            less = engine.fuse(request)
        with Engine.load(sdxl_bundle, device="cpu") as engine:
            same = engine.fuse(request.model_copy(update={"size": less.images[0].size}))
        assert less.images[0].size == (96, 96)
        assert psnr(np.asarray(less.images[0]), np.asarray(same.images[0])) >= TOLERANCE_DB


def test_a_vector_of_text_is_what_the_pipeline_pools(pipe: StableDiffusionXLPipeline) -> None:
    """The last encoder's pooled state, padded its own way."""
    from cache import PrefixPool
    from fusion.texts import TextEncoders
    from models import Components

    states, _, pooled, _ = pipe.encode_prompt(PROMPT, do_classifier_free_guidance=False)
    encoders = TextEncoders(Components.from_pipeline(pipe).towers, PrefixPool(1 << 20))
    ours = encoders.encode(PROMPT)
    assert torch.equal(ours.states, states)
    assert torch.equal(ours.pooled, pooled)
