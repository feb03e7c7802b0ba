"""Models leave memory with the last engine that uses them, and come back by themselves."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from weakref import ReferenceType, ref

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from fusion import Engine, EngineBusy, Event, EventKind, FusionRequest, Handle, Identity
from tests.fusion.conftest import painting, submitted, unit

REQUEST = FusionRequest(
    identities=(Identity(image=painting(0)), Identity(embedding=unit(1))), steps=2, previews=1
)


@pytest.fixture
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that no other engine of the process has loaded."""
    from tests.tiny import build_tiny_bundle

    place = tmp_path_factory.mktemp("own")
    return build_tiny_bundle(place, seed=hash(place.name) % 2**16 + 1)


@pytest.fixture
def engine(bundle: Path) -> Iterator[Engine]:
    with Engine.load(bundle, device="cpu") as engine:
        yield engine


def denoiser_of(engine: Engine) -> "ReferenceType[UNet2DConditionModel]":
    return ref(engine._source.drawer().denoiser.given.unet)


def gone(model: "ReferenceType[UNet2DConditionModel]") -> bool:
    gc.collect()
    return model() is None


def test_memory_returns_and_the_next_request_draws_the_same(engine: Engine) -> None:
    before, model = engine.fuse(REQUEST), denoiser_of(engine)
    assert not gone(model)
    engine.unload()
    assert gone(model)
    assert not engine.loaded
    assert len(engine.prompts.pool) == engine.key_values.statistics().entries == 0
    after = engine.fuse(REQUEST)
    assert engine.loaded
    assert np.array_equal(np.asarray(before.images[0]), np.asarray(after.images[0]))


def test_unloading_what_was_never_loaded_is_nothing(engine: Engine) -> None:
    engine.unload()
    assert not engine.loaded


def test_the_last_engine_that_uses_them_frees_them(engine: Engine, bundle: Path) -> None:
    other = Engine.load(bundle, device="cpu")
    engine.fuse(REQUEST)
    other.fuse(REQUEST)
    model = denoiser_of(engine)
    assert model() is other._source.drawer().denoiser.given.unet
    engine.unload()
    assert not gone(model)
    assert other.fuse(REQUEST).images
    other.close()
    assert gone(model)


def test_a_closed_engine_holds_no_models(bundle: Path) -> None:
    engine = Engine.load(bundle, device="cpu")
    with engine:
        engine.fuse(REQUEST)
        model = denoiser_of(engine)
    assert gone(model)


def test_requests_in_work_come_to_their_end_first(engine: Engine) -> None:
    engine.warm()
    model, handle = denoiser_of(engine), engine.submit(REQUEST.model_copy(update={"steps": 12}))
    engine.unload()
    assert handle.done()
    assert handle.result().images
    del handle
    assert gone(model)


def test_a_requests_own_thread_cannot_unload(engine: Engine) -> None:
    told: list[BaseException] = []

    def listen(event: Event, handle: Handle) -> None:
        if event.kind is EventKind.STEP and not told:
            try:
                engine.unload()
            except EngineBusy as error:
                told.append(error)

    assert submitted(engine, REQUEST, listen).result().images
    assert "another thread" in str(told[0])
    assert engine.loaded


def test_a_pipelines_models_stay_its_owners(faceid_pipe: StableDiffusionPipeline) -> None:
    request = FusionRequest(prompt="hat", steps=1)
    with Engine.from_diffusers(faceid_pipe) as engine:
        before = engine.fuse(request)
        engine.unload()
        assert engine.loaded
        after = engine.fuse(request)
    assert np.array_equal(np.asarray(before.images[0]), np.asarray(after.images[0]))


def test_unloading_among_requests_of_many_threads_breaks_none(engine: Engine) -> None:
    failures: list[BaseException] = []

    def draw(seed: int) -> None:
        try:
            for turn in range(3):
                engine.fuse(REQUEST.model_copy(update={"seed": seed * 10 + turn}))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        engine.unload()
    for thread in threads:
        thread.join()
    assert not failures
