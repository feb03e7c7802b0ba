"""Changing and unloading models: alone with them, and nobody who asks is held up meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

from fusion import (
    Engine,
    EngineBusy,
    EngineSettings,
    Event,
    EventKind,
    FusionCancelled,
    FusionRequest,
    Handle,
    Identity,
    IdentityUnsupported,
    Occupancy,
)
from models import AdapterStack, ComponentKind, open_bundle, read_faceid
from tests.fusion.conftest import submitted, unit

PATIENCE_SECONDS = 240  # for a machine with much else to do
HAT = FusionRequest(prompt="hat", steps=1)
SOMEONE = FusionRequest(prompt="hat", steps=1, identities=(Identity(embedding=unit(1)),))


@pytest.fixture
def engine(faceid_pipe: StableDiffusionPipeline) -> Iterator[Engine]:
    with Engine.from_diffusers(faceid_pipe) as engine:
        yield engine


@contextmanager
def elsewhere(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Something in a thread of its own, which has ended afterwards."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


class Change:
    """Holds an engine's models until it is let go."""

    def __init__(self) -> None:
        self.begun, self.released = threading.Event(), threading.Event()

    def __call__(self, _: AdapterStack) -> None:
        self.begun.set()
        assert self.released.wait(PATIENCE_SECONDS)


@contextmanager
def changing(engine: Engine) -> Iterator[Change]:
    """The engine while its models are being changed."""
    change = Change()
    with elsewhere(lambda: engine.adapt(change)):
        assert change.begun.wait(PATIENCE_SECONDS)
        try:
            yield change
        finally:
            change.released.set()


def test_while_adapters_change_requests_queue_at_once_and_are_drawn_afterwards(
    engine: Engine,
) -> None:
    with changing(engine):
        handle = engine.submit(HAT)  # an engine that is held would never let these go on
        assert engine.occupancy == Occupancy(waiting=1, active=0, rows=0)
        assert not handle.done()
    assert handle.result(PATIENCE_SECONDS).images


def test_a_waiting_request_that_is_cancelled_meanwhile_ends_at_once(engine: Engine) -> None:
    with changing(engine):
        first, second = engine.submit(HAT), engine.submit(HAT)
        first.cancel()
        assert first.done()
        with pytest.raises(FusionCancelled):
            first.result()
        assert engine.occupancy.waiting == 1
    assert second.result(PATIENCE_SECONDS).images


def test_two_changes_are_made_one_after_the_other(engine: Engine) -> None:
    order: list[str] = []
    with changing(engine) as change, elsewhere(lambda: engine.adapt(lambda _: order.append("b"))):
        order.append("a")
        change.released.set()
    assert order == ["a", "b"]


def test_requests_that_never_stop_coming_do_not_put_a_change_off(engine: Engine) -> None:
    changed = threading.Event()

    def follow(event: Event, _: Handle) -> None:
        if event.kind is EventKind.STEP and not changed.is_set():
            submitted(engine, HAT, follow)  # before this one ends, so never is there none

    submitted(engine, HAT, follow)
    engine.adapt(lambda _: changed.set())
    assert engine.fuse(HAT).images


def test_closing_waits_for_a_change_and_for_the_requests_behind_it(engine: Engine) -> None:
    with changing(engine) as change:
        handle = engine.submit(HAT)
        with elsewhere(engine.close) as closing:
            assert closing.is_alive()
            change.released.set()
    assert handle.done()
    assert handle.result().images


def test_a_change_that_asks_to_be_alone_is_refused_instead_of_waiting_for_itself(
    engine: Engine,
) -> None:
    with pytest.raises(EngineBusy, match="another thread"):
        engine.adapt(lambda _: engine.unload())
    assert engine.fuse(HAT).images


def test_a_change_that_fails_lets_requests_go_on(engine: Engine) -> None:
    def fail(_: AdapterStack) -> None:
        raise KeyError("not there")

    with pytest.raises(KeyError):
        engine.adapt(fail)
    assert engine.fuse(HAT).images


def test_an_engine_knows_identities_while_a_faceid_is_on(tiny_bundle: Path) -> None:
    with Engine.load(tiny_bundle, device="cpu", backend="eager") as engine:
        engine.adapt(lambda stack: stack.remove("faceid"))
        with pytest.raises(IdentityUnsupported):
            engine.submit(SOMEONE)
        assert engine.fuse(HAT).images
        faceid = read_faceid(
            open_bundle(tiny_bundle).path(ComponentKind.IDENTITY) / "ip-adapter-faceid.safetensors"
        )
        engine.adapt(lambda stack: stack.add(faceid, "face"))
        assert engine.fuse(SOMEONE).images


def test_an_identity_that_waited_while_the_faceid_went_is_refused_not_left_out(
    tiny_bundle: Path,
) -> None:
    settings = EngineSettings(active_requests=1)
    with Engine.load(tiny_bundle, device="cpu", backend="eager", settings=settings) as engine:
        waiting = []

        def remove(stack: AdapterStack) -> None:
            waiting.append(engine.submit(SOMEONE))
            stack.remove("faceid")

        engine.adapt(remove)
        with pytest.raises(IdentityUnsupported):
            waiting[0].result(PATIENCE_SECONDS)
