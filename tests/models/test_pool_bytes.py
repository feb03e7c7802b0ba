"""A pool's bytes are those that are really allocated: states, their headers, the bookkeeping."""

from __future__ import annotations

import ctypes
import gc
import tracemalloc
from collections.abc import Callable
from statistics import median_low

import pytest
import torch
from torch import Tensor

from cache import PrefixPool
from models import PrefixCachedTextEncoder
from tests.models.texts import text_model, traffic

_POOLED_BYTES = 512  # Python takes what is larger from malloc, as torch does


class _MallocInfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def malloced() -> int:
    """Bytes in use that came from malloc: tensors' memory and headers, large Python objects."""
    gc.collect()
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("needs glibc's mallinfo2")
    library.mallinfo2.restype = _MallocInfo
    info = library.mallinfo2()
    return int(info.uordblks + info.hblkhd)


def small_objects() -> int:
    """Bytes of Python's objects that did not come from malloc."""
    gc.collect()
    traces = tracemalloc.take_snapshot().traces
    return sum(trace.size for trace in traces if trace.size <= _POOLED_BYTES)


def run(
    model: object, batches: list[Tensor], max_bytes: int, measure: Callable[[], int]
) -> tuple[int, PrefixPool]:
    """What random traffic leaves allocated, as measured, and the pool.

    The median of several rounds, each with a pool of its own: oneDNN keeps what it has prepared for
    a shape, megabytes of it in half precision on a processor that computes in it.
    """
    grown = []
    for _ in range(4):
        encoder = PrefixCachedTextEncoder(model, PrefixPool(max_bytes))  # type: ignore[arg-type]
        before = measure()
        for batch in batches:
            encoder.encode(batch)
        grown.append(measure() - before)
    return median_low(grown), encoder.pool


def storages(pool: PrefixPool) -> int:
    """What the states held keep allocated; a view would count with all of its base."""
    found = {}
    for record in pool.records():
        for tensor in vars(record.value).values():
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


@pytest.mark.parametrize(
    ("width", "dtype", "max_bytes"),
    [(128, torch.float32, 1 << 30), (128, torch.float16, 1_000_000), (384, torch.float32, 1 << 30)],
)
def test_size_bytes_are_what_is_allocated(width: int, dtype: torch.dtype, max_bytes: int) -> None:
    """Within 5 %. The first is the shape of the mini bundle's text encoder."""
    model = text_model(hidden_size=width, intermediate_size=64, num_hidden_layers=2)
    model.to(dtype)
    batches = traffic(40, seed=5)
    run(model, batches[:8], max_bytes, lambda: 0)  # what torch sets up once and keeps
    in_malloc, pool = run(model, batches, max_bytes, malloced)
    tracemalloc.start()
    try:
        in_python, _ = run(model, batches, max_bytes, small_objects)
    finally:
        tracemalloc.stop()
    statistics = pool.statistics()
    assert statistics.held_slabs > 1 or max_bytes < 1 << 30
    assert (statistics.evictions > 0) == (max_bytes < 1 << 30)
    states = sum(record.value.size_bytes for record in pool.records())
    assert storages(pool) == states, "something held keeps more allocated than it says"
    print(
        in_malloc,
        in_python,
        statistics.size_bytes,
        len(pool),
        (in_malloc + in_python - states) / len(pool),
        statistics.size_bytes / (in_malloc + in_python),
    )
    assert statistics.size_bytes == pytest.approx(in_malloc + in_python, rel=0.05)
