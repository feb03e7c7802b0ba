"""How busy an engine says it is, and how soon a cancelled request's rows are gone."""

import threading

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
    Occupancy,
    Stage,
)
from tests.fusion.conftest import Scripted, face_at, painting, submitted, unit

PATIENCE_SECONDS = 240
SOMEONE = Identity(embedding=unit(1))


def test_waiting_and_active_requests_are_told(faceid_pipe: StableDiffusionPipeline) -> None:
    entered, released = threading.Event(), threading.Event()

    def script(_: object) -> tuple:  # type: ignore[type-arg]
        entered.set()
        assert released.wait(PATIENCE_SECONDS)
        return (face_at(30, 30, 60, unit(1)),)

    engine = Engine.from_diffusers(faceid_pipe, Scripted(script), EngineSettings(active_requests=1))
    assert engine.occupancy == Occupancy(waiting=0, active=0, rows=0)
    request = FusionRequest(identities=(Identity(image=painting(1)),), steps=1, verify=False)
    handles = [engine.submit(request) for _ in range(3)]
    assert entered.wait(PATIENCE_SECONDS)
    assert engine.occupancy == Occupancy(waiting=2, active=1, rows=0)
    handles[1].cancel()
    assert engine.occupancy == Occupancy(waiting=1, active=1, rows=0)
    released.set()
    for handle in (handles[0], handles[2]):
        handle.result(PATIENCE_SECONDS)
    assert engine.occupancy == Occupancy(waiting=0, active=0, rows=0)
    engine.close()


def test_the_rows_of_a_cancelled_request_leave_before_the_next_step(engine: Engine) -> None:
    """One is drawn beside it; its steps tell what is in the loop at each."""
    rows: list[tuple[int, int]] = []  # step of the one that stays, rows in the loop then
    cancelled_at = 0
    stays = FusionRequest(identities=(SOMEONE,), steps=30)
    leaves = FusionRequest(identities=(SOMEONE,), steps=200, count=3)

    with Engine(engine._source, EngineSettings()) as ours:
        going = ours.submit(leaves)

        def watch(event: Event, _: Handle) -> None:
            nonlocal cancelled_at
            if event.kind is not EventKind.STEP:
                return
            rows.append((event.step, ours.occupancy.rows))
            if not cancelled_at and ours.occupancy.rows == 4:
                cancelled_at = event.step
                going.cancel()

        staying = submitted(ours, stays, watch)
        staying.result(PATIENCE_SECONDS)
        with pytest.raises(FusionCancelled):
            going.result(PATIENCE_SECONDS)
    assert cancelled_at
    assert {count for step, count in rows if cancelled_at < step < 30} == {1}
    assert rows[-1] == (30, 0)


def test_nothing_but_the_end_is_told_after_a_cancel(engine: Engine) -> None:
    told: list[Event] = []

    def watch(event: Event, handle: Handle) -> None:
        told.append(event)
        if event.kind is EventKind.STEP and event.step == 2:
            handle.cancel()

    request = FusionRequest(identities=(SOMEONE,), steps=50, previews=20)
    handle = submitted(engine, request, watch)
    with pytest.raises(FusionCancelled):
        handle.result(PATIENCE_SECONDS)
    after = told[next(i for i, event in enumerate(told) if event.step == 2) + 1 :]
    later = [event for event in after if event.kind is not EventKind.PREVIEW]
    assert [event.kind for event in later] == [EventKind.CANCELLED]
    assert all(event.stage is not Stage.DECODE for event in told)
