"""A handle calls back: every event, in order, once each, whoever emits them."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fusion import Engine, Event, EventKind, FusionCancelled, FusionRequest, Identity, TaskState
from fusion.progress import Handle
from fusion.task import FusionTask
from tests.fusion.conftest import submitted, unit

PATIENCE_SECONDS = 240
SOMEONE = Identity(embedding=unit(1))


def handle() -> Handle:
    return Handle(FusionTask.new((), (), 60.0))


def step(of: Handle, number: int) -> Event:
    return Event(of.task.id, EventKind.STEP, step=number)


def cancelled(of: Handle) -> None:
    of.end(of.task.now(TaskState.CANCELLED), EventKind.CANCELLED, error=FusionCancelled("gone"))


def test_a_listener_hears_of_a_request_from_the_first_event_to_the_last(engine: Engine) -> None:
    heard: list[Event] = []
    ended = threading.Event()

    def listen(event: Event) -> None:
        heard.append(event)
        if event.kind.last:
            assert one.done()
            assert one.result(0).images
            ended.set()

    one = engine.submit(FusionRequest(identities=(SOMEONE,), steps=3))
    one.listen(listen)
    assert ended.wait(PATIENCE_SECONDS)
    assert heard == list(one.events())


def test_who_listens_late_hears_all_at_once_in_the_thread_that_asked() -> None:
    one = handle()
    one.emit(step(one, 1))
    heard: list[tuple[EventKind, int]] = []
    one.listen(lambda event: heard.append((event.kind, threading.get_ident())))
    me = threading.get_ident()
    assert heard == [(EventKind.QUEUED, me), (EventKind.STEP, me)]
    cancelled(one)
    assert heard[-1] == (EventKind.CANCELLED, me)
    after: list[Event] = []
    one.listen(after.append)
    assert after == list(one.events())


def test_the_order_holds_and_nothing_is_told_twice_when_many_emit_at_once() -> None:
    one, count = handle(), 400
    early: list[Event] = []
    late: list[Event] = []

    def slow(event: Event) -> None:
        time.sleep(0)  # others are let in
        early.append(event)

    one.listen(slow)
    with ThreadPoolExecutor(8) as pool:
        emitted = [pool.submit(one.emit, step(one, number)) for number in range(count)]
        pool.submit(one.listen, late.append)
        for each in emitted:
            each.result(PATIENCE_SECONDS)
    cancelled(one)
    assert early == late == list(one.events())
    assert len(early) == count + 2


def test_a_listener_that_raises_is_logged_and_dropped_and_nobody_else_notices(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []

    def bad(event: Event) -> None:
        if event.kind is EventKind.STEP:
            raise SystemExit("of no use")

    with caplog.at_level(logging.ERROR, logger="fusion"):
        one = engine.submit(FusionRequest(identities=(SOMEONE,), steps=3))
        one.listen(bad)
        one.listen(heard.append)
        assert one.result(PATIENCE_SECONDS).images
        engine.fuse(FusionRequest(identities=(SOMEONE,), steps=1))
    assert [record.exc_info is not None for record in caplog.records] == [True], "once"
    assert heard == list(one.events())


def test_a_listener_may_cancel_and_ask_without_a_deadlock(engine: Engine) -> None:
    heard: list[EventKind] = []

    def impatient(event: Event, one: Handle) -> None:
        heard.append(event.kind)
        assert one.task.id == event.task_id
        if event.kind is EventKind.STEP:
            one.cancel()
        if event.kind.last:
            with pytest.raises(FusionCancelled):
                one.result()

    one = submitted(engine, FusionRequest(identities=(SOMEONE,), steps=50), impatient)
    with pytest.raises(FusionCancelled):
        one.result(PATIENCE_SECONDS)
    assert heard.count(EventKind.STEP) == 1


def test_after_the_end_or_a_cancel_nothing_but_the_end_is_told() -> None:
    one = handle()
    one.cancel()
    one.emit(step(one, 1))
    cancelled(one)
    one.emit(step(one, 2))
    assert [event.kind for event in one.events()] == [EventKind.QUEUED, EventKind.CANCELLED]
