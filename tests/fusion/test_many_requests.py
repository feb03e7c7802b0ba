"""Many requests at once through one engine: each gets its own picture, and nothing is left over."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from diffusers import StableDiffusionPipeline

from eval.metrics import psnr
from fusion import (
    Engine,
    EngineClosed,
    EngineSettings,
    EventKind,
    FusionCancelled,
    FusionRequest,
    FusionResult,
    Identity,
    InvalidRequest,
    TaskState,
)
from fusion.sampler import Row
from models import ImageRejected
from tests.fusion.conftest import painting, unit

pytestmark = pytest.mark.filterwarnings(  # diffusers' own schedulers
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
PATIENCE_SECONDS = 240
LEAST_DB = 50.0
ROOMY = EngineSettings(capacity=2000)
WORDS = ("hat", "old woman, glasses", "man smiling, blue background", "")


def mixed(number: int) -> FusionRequest:
    """One of many: other words, faces, scales, steps, sizes, schedulers, targets and modes."""
    rng = np.random.default_rng(number)
    target = painting(number) if number % 5 == 0 else None
    size = None if target is not None else ((128, 128), (96, 96), (64, 128))[number % 3]
    return FusionRequest(
        identities=(Identity(embedding=unit(number % 7)),) if number % 4 else (),
        target=target,
        prompt=WORDS[number % len(WORDS)],
        negative_prompt="sad" if number % 3 else "",
        steps=int(rng.integers(1, 7)),
        guidance_scale=float(rng.choice([1.0, 2.0, 5.0])),
        identity_scale=float(rng.choice([0.0, 0.5, 1.0])),
        strength=float(rng.choice([0.4, 0.8, 1.0])),
        scheduler=("ddim", "dpm++2m", "euler", "unipc", None)[number % 5 - 1],
        mode="fast" if number % 6 == 1 else "exact",
        size=size,
        seed=number,
        count=1 + (number % 11 == 0),
        verify=False,
    )


@pytest.fixture(scope="module")
def roomy(tiny_bundle: Path) -> Iterator[Engine]:
    with Engine.load(tiny_bundle, device="cpu", settings=ROOMY) as engine:
        yield engine


def pictures(result: FusionResult) -> list[np.ndarray]:
    return [np.asarray(image) for image in result.images]


def test_every_picture_of_many_is_that_of_a_fresh_single_run(
    roomy: Engine, tiny_bundle: Path
) -> None:
    requests = [mixed(number) for number in range(80)]
    handles = [roomy.submit(request) for request in requests]
    together = [handle.result(PATIENCE_SECONDS) for handle in handles]
    assert any("of others at a step" in t for one in together for t in one.trace.decisions)
    for request, result in zip(requests, together, strict=True):
        with Engine.load(tiny_bundle, device="cpu") as fresh:
            alone = fresh.fuse(request)
        for ours, theirs in zip(pictures(result), pictures(alone), strict=True):
            assert psnr(ours, theirs) >= LEAST_DB, request


def test_nothing_stays_pinned_or_held_over_500_requests(roomy: Engine) -> None:
    """Failures and cancels among them; the second half must not take more than the first."""

    def half() -> int:
        handles = [
            roomy.submit(
                FusionRequest(identities=(Identity(embedding=unit(n % 5)),), steps=1 + n % 3,
                              prompt=WORDS[n % 4] + " hat" * (80 * (n % 9 == 4)), seed=n,
                              size=(64, 64), verify=False)
            )
            for n in range(250)
        ]  # fmt: skip
        for number, handle in enumerate(handles):
            if number % 7 == 3:
                handle.cancel()
        for handle in handles:
            list(handle.events())
        states = [handle.task.state for handle in handles]
        assert set(states) == {TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED}
        del handles
        gc.collect()
        return int(psutil.Process().memory_info().rss)

    half()
    first, second = half(), half()
    assert second - first < 16 << 20
    held = roomy.key_values.statistics()
    assert held.pinned_bytes == 0
    assert held.size_bytes <= held.max_bytes
    assert not roomy._active
    assert not roomy._waiting


def test_a_request_joins_a_running_batch_at_its_next_step(roomy: Engine) -> None:
    slow = FusionRequest(steps=400, guidance_scale=2, verify=False)
    running = roomy.submit(slow)
    steps = (event for event in running.events() if event.kind is EventKind.STEP)
    for _ in range(3):
        next(steps)
    joining = roomy.submit(FusionRequest(steps=2, guidance_scale=2, verify=False))
    joining.result(PATIENCE_SECONDS)
    assert not running.done(), "it was not waited for"
    running.cancel()
    with pytest.raises(FusionCancelled):
        running.result(PATIENCE_SECONDS)


def test_a_large_picture_does_not_hold_up_small_ones(roomy: Engine) -> None:
    large = roomy.submit(FusionRequest(steps=300, size=(256, 256), verify=False))
    next(event for event in large.events() if event.kind is EventKind.STEP)
    small = [
        roomy.submit(FusionRequest(steps=4, size=(64, 64), seed=n, verify=False)) for n in (1, 2)
    ]
    for handle in small:
        handle.result(PATIENCE_SECONDS)
    assert not large.done()
    large.cancel()
    list(large.events())


def test_closing_draws_what_was_accepted(tiny_bundle: Path) -> None:
    before = set(threading.enumerate())
    engine = Engine.load(tiny_bundle, device="cpu", settings=EngineSettings(active_requests=3))
    handles = [engine.submit(FusionRequest(steps=3, seed=n, verify=False)) for n in range(10)]
    engine.close()
    assert [handle.task.state for handle in handles] == [TaskState.DONE] * 10
    assert set(threading.enumerate()) <= before, "its threads are gone"


def test_cancelling_ends_a_waiting_request_at_once(tiny_bundle: Path) -> None:
    """It used to be told only when its turn came."""
    with Engine.load(tiny_bundle, device="cpu", settings=EngineSettings(active_requests=1)) as one:
        first = one.submit(FusionRequest(steps=400, verify=False))
        next(event for event in first.events() if event.kind is EventKind.STEP)
        second = one.submit(FusionRequest(steps=1, verify=False))
        begun = time.perf_counter()
        second.cancel()
        assert second.done()
        assert time.perf_counter() - begun < 1
        assert not first.done()
        first.cancel()


def test_previews_show_what_the_picture_becomes(roomy: Engine) -> None:
    request = FusionRequest(
        identities=(Identity(embedding=unit(1)),), steps=12, previews=3, verify=False
    )
    handle = roomy.submit(request)
    events = list(handle.events())
    shown = [event for event in events if event.kind is EventKind.PREVIEW]
    assert [event.step for event in shown] == [3, 6, 9]
    final = handle.result().images[0]
    decibels = [psnr(np.asarray(event.image), np.asarray(final)) for event in shown]
    assert decibels == sorted(decibels), "nearer and nearer"
    assert decibels[-1] > 20
    plain = request.model_copy(update={"previews": 0})
    assert np.array_equal(np.asarray(roomy.fuse(plain).images[0]), np.asarray(final))


@pytest.mark.parametrize("scheduler", ["ddim", "dpm++2m", "euler", "unipc"])
def test_previews_of_every_scheduler_come_near(roomy: Engine, scheduler: str) -> None:
    request = FusionRequest(
        identities=(Identity(embedding=unit(1)),), steps=20, previews=9, verify=False,
        scheduler=scheduler,
    )  # fmt: skip
    handle = roomy.submit(request)
    shown = [event.image for event in handle.events() if event.kind is EventKind.PREVIEW]
    assert psnr(np.asarray(shown[-1]), np.asarray(handle.result().images[0])) > 22


def test_engines_of_one_bundle_share_its_models_and_let_them_go(tiny_bundle: Path) -> None:
    first = Engine.load(tiny_bundle, device="cpu").warm()
    second = Engine.load(tiny_bundle, device="cpu")
    assert second._source.drawer() is first._source.drawer()
    half = Engine.load(tiny_bundle, device="cpu", precision="bf16")
    assert half._source.drawer() is not first._source.drawer()
    for engine in (first, second, half):
        engine.close()


def test_an_engine_over_a_pipeline_draws_many_at_once_as_the_pipeline_draws_each(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    import torch

    with Engine.from_diffusers(faceid_pipe, settings=ROOMY) as engine:
        handles = [
            engine.submit(
                FusionRequest(identities=(Identity(embedding=unit(n)),), prompt=WORDS[n % 4],
                              negative_prompt="", steps=4 + n % 3, guidance_scale=1.0 + n % 3,
                              seed=n, verify=False)
            )
            for n in range(9)
        ]  # fmt: skip
        ours = [np.asarray(handle.result(PATIENCE_SECONDS).images[0]) for handle in handles]
    for n, picture in enumerate(ours):
        face = torch.from_numpy(unit(n))[None, None]
        guided = 1.0 + n % 3 > 1
        theirs = faceid_pipe(
            WORDS[n % 4], negative_prompt="", num_inference_steps=4 + n % 3,
            guidance_scale=1.0 + n % 3, generator=torch.Generator("cpu").manual_seed(n),
            ip_adapter_image_embeds=[
                torch.cat([torch.zeros_like(face), face]) if guided else face
            ],
        ).images[0]  # fmt: skip
        assert psnr(picture, np.asarray(theirs)) >= 55


class TestFuseAll:
    def test_results_come_in_the_order_asked_for(self, roomy: Engine) -> None:
        requests = [FusionRequest(steps=1 + 5 * (n == 0), seed=n, verify=False) for n in range(30)]
        results = list(roomy.fuse_all(iter(requests)))
        assert [result.pictures[0].seed for result in results] == list(range(30))

    def test_more_than_the_queue_holds_are_waited_for(self, tiny_bundle: Path) -> None:
        small = EngineSettings(capacity=2, active_requests=2)
        with Engine.load(tiny_bundle, device="cpu", settings=small) as engine:
            requests = [FusionRequest(steps=1, seed=n, verify=False) for n in range(12)]
            assert len(list(engine.fuse_all(requests))) == 12

    def test_a_refusal_comes_after_the_results_before_it(self, roomy: Engine) -> None:
        good = FusionRequest(steps=1, verify=False)
        results = roomy.fuse_all([good, good, FusionRequest(count=99), good])
        assert next(results).images
        assert next(results).images
        with pytest.raises(InvalidRequest):
            next(results)

    def test_given_up_it_cancels_what_it_waits_for(self, tiny_bundle: Path) -> None:
        with Engine.load(tiny_bundle, device="cpu") as engine:
            results = engine.fuse_all([FusionRequest(steps=400, verify=False)] * 3)
            stopper = threading.Timer(0.3, engine.close, kwargs={"cancel": True})
            stopper.start()
            with pytest.raises((FusionCancelled, EngineClosed)):
                list(results)
            stopper.join(PATIENCE_SECONDS)
            assert not engine._active

    def test_a_failure_is_raised_and_the_rest_cancelled(self, roomy: Engine) -> None:
        bad = FusionRequest(identities=(Identity(image=b"nothing"),))
        requests = [FusionRequest(steps=1, verify=False), bad, FusionRequest(steps=400)]
        results = roomy.fuse_all(requests)
        assert next(results).images
        with pytest.raises(ImageRejected):
            next(results)
        roomy.fuse(FusionRequest(steps=1, verify=False))
        assert not roomy._waiting


@pytest.mark.parametrize("setting", ["capacity", "active_requests", "largest_batch"])
def test_an_engine_that_could_never_draw_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        EngineSettings(**{setting: 0})


def test_a_result_lets_go_of_what_it_was_drawn_with(tiny_bundle: Path) -> None:
    """Without the garbage collector: on a GPU nothing would call it when memory is short."""
    with Engine.load(tiny_bundle, device="cpu") as engine:
        gc.collect()
        gc.disable()
        try:
            handle = engine.submit(FusionRequest(steps=2, verify=False))
            handle.result(PATIENCE_SECONDS)
            while engine._active:
                time.sleep(0.01)
            held = [one for one in gc.get_objects() if type(one) is Row]
        finally:
            gc.enable()
    assert not held
