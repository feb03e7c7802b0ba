"""A worker survives what goes wrong in and around it."""

import threading

import pytest

from fusion.worker import Worker


def test_a_task_that_raises_is_told_and_the_next_one_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread died and was taken for alive: whatever was put later never came to its turn."""
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))
    done = threading.Event()
    worker, fault = Worker("test"), KeyError("a fault")

    def fail() -> None:
        raise fault

    worker.put(fail)
    worker.put(done.set)
    assert done.wait(10)
    assert told == [fault]
    worker.join()


def test_a_thread_that_cannot_start_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, done = Worker("test"), threading.Event()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            worker.put(done.set)
    order: list[int] = []
    for number in range(20):
        worker.put(lambda number=number: order.append(number))
    worker.join()
    assert order == list(range(20))
    assert not done.is_set()
