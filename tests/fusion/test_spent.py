"""What a request has taken is known however it ended."""

from collections.abc import Callable

import pytest
from diffusers import StableDiffusionPipeline

from fusion import (
    Engine,
    EngineSettings,
    Event,
    EventKind,
    FusionCancelled,
    FusionRequest,
    Handle,
    Identity,
    Stage,
    StagePolicy,
)
from models import Face, ImageRejected
from tests.fusion.conftest import Picture, Scripted, face_at, submitted, unit

PATIENCE_SECONDS = 240
SOMEONE = Identity(embedding=unit(1))


def cancelled_at(step: int, attempt: int = 1) -> Callable[[Event, Handle], None]:
    def listen(event: Event, handle: Handle) -> None:
        if event.kind is EventKind.STEP and (event.attempt, event.step) == (attempt, step):
            handle.cancel()

    return listen


def test_of_a_request_that_was_drawn_it_is_its_usage(engine: Engine) -> None:
    handle = engine.submit(FusionRequest(identities=(SOMEONE,), steps=4, count=2))
    usage, spent = handle.result(PATIENCE_SECONDS).usage, handle.spent
    assert spent.denoiser_evaluations == usage.denoiser_evaluations == 4 * 2 * 2
    assert spent.denoiser_seconds == usage.denoiser_seconds > 0
    assert spent.seconds_by_stage == usage.seconds_by_stage
    assert spent.seconds == pytest.approx(usage.seconds)


def test_of_a_cancelled_one_it_counts_the_steps_that_were_done(engine: Engine) -> None:
    request = FusionRequest(identities=(SOMEONE,), steps=50, count=2)
    handle = submitted(engine, request, cancelled_at(3))
    with pytest.raises(FusionCancelled):
        handle.result(PATIENCE_SECONDS)
    spent = handle.spent
    assert spent.denoiser_evaluations == 3 * 2 * 2
    assert spent.denoiser_seconds > 0
    assert spent.seconds_by_stage[Stage.DENOISE] >= spent.denoiser_seconds
    assert Stage.DECODE not in spent.seconds_by_stage


def test_of_one_that_failed_after_its_drawing_it_counts_the_drawing(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    def script(_: Picture) -> tuple[Face, ...]:
        raise RuntimeError("no luck")

    settings = EngineSettings(recovery={Stage.VERIFY: StagePolicy()})
    engine = Engine.from_diffusers(faceid_pipe, Scripted(script), settings)
    handle = engine.submit(FusionRequest(identities=(SOMEONE,), steps=3))
    with pytest.raises(RuntimeError, match="no luck"):
        handle.result(PATIENCE_SECONDS)
    assert handle.spent.denoiser_evaluations == 3 * 2
    assert handle.spent.seconds_by_stage[Stage.VERIFY] > 0


def test_rejected_attempts_count_though_the_last_one_is_cancelled(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    seen = face_at(40, 40, 50, unit(2))
    engine = Engine.from_diffusers(faceid_pipe, Scripted(lambda _: (seen,)))
    request = FusionRequest(identities=(SOMEONE,), steps=4, min_identity=0.9, max_retries=3)
    handle = submitted(engine, request, cancelled_at(1, attempt=2))
    with pytest.raises(FusionCancelled):
        handle.result(PATIENCE_SECONDS)
    assert handle.spent.denoiser_evaluations == (4 + 1) * 2
    assert len([one for one in handle.task.trace.records if one.stage is Stage.DENOISE]) == 2


def test_of_a_refused_one_it_is_the_time_to_find_out(engine: Engine) -> None:
    handle = engine.submit(FusionRequest(identities=(Identity(image=b"nothing"),)))
    with pytest.raises(ImageRejected):
        handle.result(PATIENCE_SECONDS)
    assert handle.spent.denoiser_evaluations == 0
    assert set(handle.spent.seconds_by_stage) == {Stage.PHOTOS}
