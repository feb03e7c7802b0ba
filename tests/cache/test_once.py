"""Made once, shared while somebody holds it, and then free."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cache import Digest, OnceEach, digest


class Thing:
    """Something that can be held weakly."""


KEY, OTHER = digest("a"), digest("b")


def test_one_value_for_a_key_and_another_for_another() -> None:
    once: OnceEach[Thing] = OnceEach()
    first = once.get(KEY, Thing)
    assert once.get(KEY, Thing) is first
    assert once.get(OTHER, Thing) is not first


def test_the_last_one_to_let_go_frees_it() -> None:
    once: OnceEach[Thing] = OnceEach()
    held = [once.get(KEY, Thing), once.get(KEY, Thing)]
    held.pop()
    gc.collect()
    assert len(once) == 1
    held.pop()
    gc.collect()
    assert len(once) == 0


def test_threads_that_ask_at_once_wait_for_the_one_that_makes_it() -> None:
    once: OnceEach[Thing] = OnceEach()
    made, begun = [], threading.Event()

    def make() -> Thing:
        begun.set()
        made.append(Thing())
        return made[-1]

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda _: once.get(KEY, make), range(32)))
    assert len(made) == 1
    assert set(map(id, values)) == {id(made[0])}


def test_a_failure_is_not_kept() -> None:
    once: OnceEach[Thing] = OnceEach()

    def fail() -> Thing:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        once.get(Digest(KEY), fail)
    assert isinstance(once.get(KEY, Thing), Thing)
