"""The engine's queue: waiting, order, cancelling, expiry, closing."""

import threading

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from fusion import (
    Engine,
    EngineBusy,
    EngineClosed,
    EngineSettings,
    Event,
    EventKind,
    FusionCancelled,
    FusionRequest,
    FusionResult,
    Handle,
    Identity,
    Stage,
    TaskExpired,
    TaskState,
)
from models import (
    Face,
    ImageRejected,
)
from tests.fusion.conftest import Picture, Scripted, face_at, painting, unit

PATIENCE_SECONDS = 240  # for a machine with much else to do
SOMEONE = Identity(embedding=unit(1))


def pixels(result: FusionResult, index: int = 0) -> NDArray[np.uint8]:
    return np.asarray(result.images[index])


class Gate:
    """An analyser that holds the drawing thread until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def script(self, _: Picture) -> tuple[Face, ...]:
        self.entered.set()
        assert self.released.wait(PATIENCE_SECONDS)
        return (face_at(30, 30, 60, unit(1)),)


class TestQueue:
    def held(
        self, pipe: StableDiffusionPipeline, settings: EngineSettings | None = None
    ) -> tuple[Engine, Gate]:
        gate = Gate()
        return Engine.from_diffusers(pipe, Scripted(gate.script), settings), gate

    def request(self, seed: int = 0, steps: int = 2) -> FusionRequest:
        return FusionRequest(
            identities=(Identity(image=painting(seed)),), seed=seed, steps=steps, verify=False
        )

    def test_events_tell_every_stage_and_step_and_then_the_end(self, engine: Engine) -> None:
        handle = engine.submit(FusionRequest(identities=(SOMEONE,), steps=3, count=5))
        events = list(handle.events())
        assert events[0].kind is EventKind.QUEUED
        assert events[-1].kind is EventKind.DONE
        steps = [event.step for event in events if event.kind is EventKind.STEP]
        assert steps == [1, 2, 3], "five pictures in one batch"
        stages = [event.stage for event in events if event.kind is EventKind.STAGE]
        assert [stage for stage in stages if stage is not Stage.LOAD] == list(
            handle.task.operations
        )
        assert handle.done()
        assert handle.result().task.id == handle.task.id
        assert [event.kind for event in handle.events()] == [event.kind for event in events]

    def test_cancelling_a_drawing_stops_it_within_a_step(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Impatient(Handle):
            def emit(self, event: Event) -> None:
                super().emit(event)
                if event.kind is EventKind.STEP and event.step == 2:
                    self.cancel()

        monkeypatch.setattr("fusion.queue.Handle", Impatient)
        handle = engine.submit(FusionRequest(identities=(SOMEONE,), steps=50))
        with pytest.raises(FusionCancelled):
            handle.result(PATIENCE_SECONDS)
        steps = [event.step for event in handle.events() if event.kind is EventKind.STEP]
        assert steps == [1, 2]
        assert handle.task.state is TaskState.CANCELLED
        monkeypatch.undo()
        assert engine.fuse(FusionRequest(identities=(SOMEONE,), steps=1)).images

    def test_cancelling_a_waiting_request_keeps_it_from_starting(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        engine, gate = self.held(faceid_pipe)
        first, second = engine.submit(self.request(1)), engine.submit(self.request(2))
        second.cancel()
        gate.released.set()
        assert first.result(PATIENCE_SECONDS).images
        with pytest.raises(FusionCancelled):
            second.result(PATIENCE_SECONDS)
        assert [event.kind for event in second.events()] == [EventKind.QUEUED, EventKind.CANCELLED]
        engine.close()

    def test_a_full_queue_says_so(self, faceid_pipe: StableDiffusionPipeline) -> None:
        engine, gate = self.held(faceid_pipe, EngineSettings(capacity=2))
        first = engine.submit(self.request(0))
        assert gate.entered.wait(PATIENCE_SECONDS)
        others = [engine.submit(self.request(seed)) for seed in (1, 2)]
        with pytest.raises(EngineBusy):
            engine.submit(self.request(3))
        gate.released.set()
        assert all(handle.result(PATIENCE_SECONDS).images for handle in (first, *others))
        assert engine.fuse(self.request(3)).images
        engine.close()

    def test_closing_drains_and_then_refuses(self, faceid_pipe: StableDiffusionPipeline) -> None:
        engine, gate = self.held(faceid_pipe)
        handles = [engine.submit(self.request(seed)) for seed in range(3)]
        threading.Timer(0.05, gate.released.set).start()
        engine.close()
        assert all(handle.done() for handle in handles)
        assert [handle.task.state for handle in handles] == [TaskState.DONE] * 3
        with pytest.raises(EngineClosed):
            engine.submit(self.request(9))

    def test_closing_with_cancel_ends_them_all(self, faceid_pipe: StableDiffusionPipeline) -> None:
        engine, gate = self.held(faceid_pipe)
        handles = [engine.submit(self.request(seed)) for seed in range(3)]
        assert gate.entered.wait(PATIENCE_SECONDS)
        threading.Timer(0.05, gate.released.set).start()
        engine.close(cancel=True)
        assert [handle.task.state for handle in handles] == [TaskState.CANCELLED] * 3

    def test_a_request_that_waits_too_long_expires(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        engine, gate = self.held(faceid_pipe, EngineSettings(ttl_seconds=-1))
        handle = engine.submit(self.request(0))
        with pytest.raises(TaskExpired, match="submit it again"):
            handle.result(PATIENCE_SECONDS)
        assert handle.task.state is TaskState.EXPIRED
        assert not gate.entered.is_set()
        engine.close()

    def test_a_request_that_fails_fails_alone(self, engine: Engine) -> None:
        good = FusionRequest(identities=(SOMEONE,), steps=2)
        alone = pixels(engine.fuse(good))
        bad = FusionRequest(identities=(Identity(image=b"nothing"),))
        handles = [engine.submit(one) for one in (good, bad, good)]
        with pytest.raises(ImageRejected):
            handles[1].result(PATIENCE_SECONDS)
        assert [event.kind for event in handles[1].events()][-1] is EventKind.FAILED
        for handle in (handles[0], handles[2]):
            assert np.array_equal(pixels(handle.result(PATIENCE_SECONDS)), alone)

    def test_its_threads_end_when_there_is_nothing_to_do_for_a_while(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        before = set(threading.enumerate())
        engine, gate = self.held(faceid_pipe)
        gate.released.set()
        engine.fuse(self.request(0))
        started = [one for one in set(threading.enumerate()) - before if "limner" in one.name]
        assert len(started) == 3, "they linger"
        for thread in started:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
        assert engine.fuse(self.request(1)).images, "and come back"
        engine.close()

    def test_waiting_has_an_end(self, faceid_pipe: StableDiffusionPipeline) -> None:
        engine, gate = self.held(faceid_pipe)
        handle = engine.submit(self.request(0))
        with pytest.raises(TimeoutError):
            handle.result(0.01)
        gate.released.set()
        assert handle.result(PATIENCE_SECONDS).images
        engine.close()
