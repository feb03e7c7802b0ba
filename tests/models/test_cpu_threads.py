"""One thread's team of CPU threads is its own business."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

from models import release_team, single_threaded


def elsewhere(task: Callable[[], object]) -> object:
    """What a new thread gives back."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(task()))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_may_compute_alone_and_others_do_not() -> None:
    before = torch.get_num_threads()

    def within() -> tuple[int, object, int]:
        with single_threaded():
            inside = torch.get_num_threads(), elsewhere(torch.get_num_threads)
        return *inside, torch.get_num_threads()

    assert elsewhere(within) == (1, before, before)
    assert torch.get_num_threads() == before


def test_a_team_given_back_is_there_again_when_it_is_needed() -> None:
    numbers = torch.randn(512, 512)
    expected = numbers @ numbers
    for _ in range(3):
        release_team()
        assert torch.allclose(numbers @ numbers, expected)
        assert float(numbers.exp().sum()) > 0
