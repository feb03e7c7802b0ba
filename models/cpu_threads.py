"""Whose threads compute on a CPU: one team at a time, or all of them crawl.

OpenMP keeps a team of threads for every thread that ever ran a parallel region. GNU's runtime
counts them all, idle or not, and once there are more than cores, its teams sleep at every barrier
instead of waiting awake: a small UNet with its hundreds of short regions takes two to three times
as long (benchmarks/engine.py measures it). So what runs beside the denoising loop computes alone,
and who asks for a picture gives its own team back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import torch
from threadpoolctl import ThreadpoolController

_PAUSE_HARD: Final = 2  # OpenMP 5.0, omp_pause_resource_t: give everything back


@cache
def _runtimes(*prefixes: str) -> tuple[Any, ...]:
    """The OpenMP runtimes that are loaded, as ctypes has them; torch's is one of them.

    prefixes: only those of these names.
    """
    found = ThreadpoolController().select(user_api="openmp").lib_controllers
    return tuple(one.dynlib for one in found if not prefixes or one.prefix in prefixes)


def release_team() -> None:
    """Give back the idle team of the thread that calls; it gets another one when it needs one.

    GNU's runtime only: others do not count teams, and would give back everybody's.
    """
    for runtime in _runtimes("libgomp"):
        if pause := getattr(runtime, "omp_pause_resource_all", None):
            pause(_PAUSE_HARD)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Within it the thread that calls computes alone. Other threads are not touched.

    torch.set_num_threads would change what threads get that start later.
    """
    before = torch.get_num_threads()  # torch sets its own number when it is first asked
    for runtime in _runtimes():
        runtime.omp_set_num_threads(1)
    try:
        yield
    finally:
        for runtime in _runtimes():
            runtime.omp_set_num_threads(before)
