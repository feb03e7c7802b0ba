"""A stage that fails by a fault is tried again, left out or reported, as its policy says."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline

from fusion import (
    DEFAULT_RECOVERY,
    Engine,
    EngineSettings,
    FusionCancelled,
    FusionRequest,
    FusionTask,
    Identity,
    InvalidRequest,
    Stage,
    StagePolicy,
    TaskState,
)
from fusion.progress import Handle
from fusion.source import BundleSource, Drawer
from fusion.trace import Notes, Trace
from fusion.visits import Visits
from models import BundleCorrupt, Face, FaceNotFound, open_bundle
from prompting import PromptingError
from tests.fusion.conftest import Picture, Scripted, face_at, painting, unit

PATIENCE_SECONDS = 240
SECRET = "/home/somebody/photos"
SOMEONE = Identity(embedding=unit(1))
SEEN = face_at(40, 40, 50, unit(1))
AT_ONCE = {stage: replace(policy, pause_seconds=0.0) for stage, policy in DEFAULT_RECOVERY.items()}


def decisions(trace: Trace, stage: Stage) -> list[str]:
    """What each visit to a stage said of its failure, "" for none."""
    return [
        next((text for text in record.decisions if text.startswith("failed")), "")
        for record in trace.records
        if record.stage is stage
    ]


def says_nothing_secret(trace: Trace) -> bool:
    return all(SECRET not in text for text in (*trace.decisions, *trace.downgrades))


@dataclass
class Failing:
    """Something of which the calls with these numbers, from 1 on, fail."""

    calls_that_fail: tuple[int, ...]
    error: Callable[[str], Exception] = RuntimeError
    calls: int = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls in self.calls_that_fail:
            raise self.error(f"no luck at {SECRET}")


class TestVerify:
    def engine(self, pipe: StableDiffusionPipeline, failing: Failing) -> Engine:
        def script(_: Picture) -> tuple[Face, ...]:
            failing()
            return (SEEN,)

        return Engine.from_diffusers(pipe, Scripted(script), EngineSettings(recovery=AT_ONCE))

    def test_a_look_that_fails_once_is_taken_again(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        result = self.engine(faceid_pipe, Failing((1,))).fuse(
            FusionRequest(identities=(SOMEONE,), steps=1)
        )
        assert result.pictures[0].verified
        assert decisions(result.trace, Stage.VERIFY) == ["failed: RuntimeError, tried again", ""]
        assert result.trace.downgrades == ()
        assert says_nothing_secret(result.trace)

    def test_a_picture_nobody_can_look_at_is_delivered_unverified_and_it_is_told(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        request = FusionRequest(identities=(SOMEONE,), steps=1)
        result = self.engine(faceid_pipe, Failing((1, 2))).fuse(request)
        assert not result.pictures[0].verified
        assert result.trace.downgrades == ("verify: left out, as it failed: RuntimeError",)
        assert len(decisions(result.trace, Stage.VERIFY)) == 2
        whole = self.engine(faceid_pipe, Failing(())).fuse(request)
        assert np.array_equal(np.asarray(result.images[0]), np.asarray(whole.images[0]))

    def test_what_cannot_be_verified_is_not_drawn_again_and_again(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        request = FusionRequest(identities=(SOMEONE,), steps=1, min_identity=0.5)
        result = self.engine(faceid_pipe, Failing((1, 2))).fuse(request)
        assert result.usage.attempts == 1
        assert "could not be verified, 0.50 was asked for" in result.warnings[0]

    def test_the_stage_before_it_is_reported_as_it_is(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        engine = self.engine(faceid_pipe, Failing((1,)))
        handle = engine.submit(FusionRequest(identities=(Identity(image=painting(1)),)))
        with pytest.raises(RuntimeError, match="no luck"):
            handle.result(PATIENCE_SECONDS)
        assert handle.task.state is TaskState.FAILED
        assert decisions(handle.task.trace, Stage.ANALYSE) == ["failed: RuntimeError"]
        assert says_nothing_secret(handle.task.trace)


class FailingSource(BundleSource):
    """A bundle of which the loading fails, or the decoder of what was loaded."""

    def __init__(self, directory: Path, loading: Failing, decoding: Failing) -> None:
        super().__init__(open_bundle(directory), "cpu", "auto")
        self.loading, self.decoding = loading, decoding
        self.ready: Drawer | None = None

    @property
    def loaded(self) -> bool:
        return self.ready is not None

    def drawer(self) -> Drawer:
        if self.ready is None:
            self.loading()
            drawer = super().drawer()
            self.ready = replace(drawer, vae=FailingDecoder(drawer.vae, self.decoding))
        return self.ready


class FailingDecoder:
    def __init__(self, vae: Any, failing: Failing) -> None:
        self.vae, self.failing = vae, failing

    def decode(self, *given: Any, **options: Any) -> Any:
        self.failing()
        return self.vae.decode(*given, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.vae, name)


class TestLoadAndDecode:
    REQUEST = FusionRequest(identities=(SOMEONE,), steps=1)

    def engine(
        self, directory: Path, loading: Failing | None = None, decoding: Failing | None = None
    ) -> Engine:
        none = Failing(())
        source = FailingSource(directory, loading or none, decoding or none)
        return Engine(source, EngineSettings(recovery=AT_ONCE))

    def test_models_that_cannot_be_read_are_tried_twice_more(self, tiny_bundle: Path) -> None:
        with self.engine(tiny_bundle, Failing((1, 2), OSError)) as engine:
            trace = engine.fuse(self.REQUEST).trace
        again = "failed: OSError, tried again"
        assert decisions(trace, Stage.LOAD) == [again, again, ""]
        assert says_nothing_secret(trace)

    def test_the_third_failure_is_reported_and_the_next_request_starts_anew(
        self, tiny_bundle: Path
    ) -> None:
        with self.engine(tiny_bundle, Failing((1, 2, 3), OSError)) as engine:
            handle = engine.submit(self.REQUEST)
            with pytest.raises(OSError, match="no luck"):
                handle.result(PATIENCE_SECONDS)
            assert decisions(handle.task.trace, Stage.LOAD)[-1] == "failed: OSError"
            assert engine.fuse(self.REQUEST).images

    def test_a_corrupt_bundle_is_not_read_again(self, tiny_bundle: Path) -> None:
        loading = Failing((1, 2, 3), BundleCorrupt)
        with self.engine(tiny_bundle, loading) as engine, pytest.raises(BundleCorrupt):
            engine.fuse(self.REQUEST)
        assert loading.calls == 1

    def test_decoding_is_tried_once_more_and_the_picture_is_the_same(
        self, tiny_bundle: Path
    ) -> None:
        with self.engine(tiny_bundle, decoding=Failing((1,), MemoryError)) as engine:
            result = engine.fuse(self.REQUEST)
            whole = engine.fuse(self.REQUEST)
        assert decisions(result.trace, Stage.DECODE) == ["failed: MemoryError, tried again", ""]
        assert np.array_equal(np.asarray(result.images[0]), np.asarray(whole.images[0]))

    def test_decoding_that_fails_twice_is_reported(self, tiny_bundle: Path) -> None:
        with self.engine(tiny_bundle, decoding=Failing((1, 2))) as engine:
            handle = engine.submit(self.REQUEST)
            with pytest.raises(RuntimeError, match="no luck"):
                handle.result(PATIENCE_SECONDS)
            assert engine.fuse(self.REQUEST).images, "the engine goes on"
        assert decisions(handle.task.trace, Stage.DECODE) == [
            "failed: RuntimeError, tried again",
            "failed: RuntimeError",
        ]


def visits(recovery: Mapping[Stage, StagePolicy]) -> Visits:
    return Visits(Handle(FusionTask.new((), (), 60.0)), recovery)


class TestPolicy:
    @pytest.mark.parametrize("error", [InvalidRequest, FaceNotFound, PromptingError])
    @pytest.mark.parametrize("stage", [Stage.COMPOSE, Stage.VERIFY])
    def test_bad_input_is_neither_tried_again_nor_left_out(
        self, error: type[Exception], stage: Stage
    ) -> None:
        work, ours = Failing((1, 2, 3), error), visits(AT_ONCE)
        with pytest.raises(error):
            ours.run(stage, lambda notes: work(), lambda: None)
        assert work.calls == 1
        assert decisions(ours.trace, stage) == [""]

    def test_a_stage_that_is_not_named_reports(self) -> None:
        work, ours = Failing((1, 2)), visits({})
        with pytest.raises(RuntimeError):
            ours.run(Stage.VERIFY, lambda notes: work(), lambda: None)
        assert work.calls == 1

    def test_composing_is_tried_once_more(self) -> None:
        work, ours = Failing((1,)), visits(AT_ONCE)
        ours.run(Stage.COMPOSE, lambda notes: work())
        assert decisions(ours.trace, Stage.COMPOSE) == ["failed: RuntimeError, tried again", ""]

    def test_a_failed_try_keeps_what_it_has_said(self) -> None:
        ours, failing = visits(AT_ONCE), Failing((1,))

        def work(notes: Notes) -> int:
            notes.decided("begun")
            failing()
            return 7

        assert ours.run(Stage.DECODE, work) == 7
        assert [record.decisions for record in ours.trace.records] == [
            ("begun", "failed: RuntimeError, tried again"),
            ("begun",),
        ]

    def test_a_cancelled_request_is_not_waited_for_and_not_tried_again(self) -> None:
        work = Failing((1, 2, 3))
        ours = visits({Stage.LOAD: StagePolicy(retries=3, pause_seconds=5)})
        threading.Timer(0.05, ours.handle.cancel).start()
        started = time.monotonic()
        with pytest.raises(FusionCancelled):
            ours.run(Stage.LOAD, lambda notes: work())
        assert time.monotonic() - started < 4
        assert work.calls == 1

    def test_an_interrupt_is_no_fault(self) -> None:
        def interrupted(notes: Notes) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            visits(AT_ONCE).run(Stage.VERIFY, interrupted, lambda: None)

    @pytest.mark.parametrize(
        ("stage", "policy", "named"),
        [
            (Stage.DECODE, StagePolicy(then="skip"), "cannot be skipped"),
            (Stage.DENOISE, StagePolicy(retries=1), "in the loop"),
        ],
    )
    def test_what_cannot_be_kept_is_refused(
        self, stage: Stage, policy: StagePolicy, named: str
    ) -> None:
        with pytest.raises(ValueError, match=named):
            EngineSettings(recovery={stage: policy})

    @pytest.mark.parametrize("given", [{"retries": -1}, {"pause_seconds": 60}])
    def test_numbers_without_sense_are_refused(self, given: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="seconds apart"):
            StagePolicy(**given)
