"""The claims: a report over a million lines takes two seconds, and a request is booked in two ms.

One SQLite file, of requests such as the mini bundle draws. Everything is timed several times and
the median is given, that of a write beside what the processor worked for it.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from _record import peak_memory_bytes, record

from fusion import (
    LEDGER_SCHEMA,
    Book,
    Database,
    Engine,
    FusionRequest,
    Opening,
    Quantity,
    lines_between,
    quantities_of,
    read_prices,
    sums_of,
    verify_chain,
)

LINES = 1_000_000
WRITES = 400
PORTRAITS = 5
PRICES = """
name = "books"
currency = "EUR"
[[price]]
item = "denoiser_time"
amount = "2.10"
per = "hour"
[[price]]
item = "images"
amount = "0.001"
"""


def main() -> None:
    request = FusionRequest(attributes={"age": 60, "hat": True}, steps=20)
    with Engine.load("mini") as engine:
        engine.fuse(request)  # the first one warms what is lazy
        results = [engine.fuse(request) for _ in range(PORTRAITS)]
    portrait = statistics.median(one.usage.seconds for one in results)
    used = quantities_of(results[0].usage)
    figures: dict[str, float | int | str] = {"portrait_median_seconds": portrait}
    with tempfile.TemporaryDirectory() as directory:
        figures |= _writes(Path(directory) / "small.db", used, flushed=False)
        figures |= _writes(Path(directory) / "flushed.db", used, flushed=True)
        figures |= _reports(Path(directory) / "large.db", used)
    figures["peak_mib"] = peak_memory_bytes() / 2**20
    record("books", figures)


def _writes(file: Path, used: Sequence[Quantity], flushed: bool) -> dict[str, float | int]:
    """Milliseconds that reserving and settling take a request, each a transaction of its own."""
    book, database = Book(read_prices(PRICES)), Database(f"sqlite:///{file}", flushed=flushed)
    database.prepare(LEDGER_SCHEMA)
    passed, worked = [], []
    for number in range(WRITES):
        wall, processor = time.perf_counter(), time.process_time()
        with database.writing() as connection:
            book.reserve(connection, [_opening(number)])
        with database.writing() as connection:
            book.settle(connection, f"r{number}", used)
        passed.append((time.perf_counter() - wall) * 1e3)
        worked.append((time.process_time() - processor) * 1e3)
    database.close()
    name = "write_flushed" if flushed else "write"
    return {
        f"{name}_median_ms": statistics.median(passed),
        f"{name}_p95_ms": statistics.quantiles(passed, n=20)[-1],
        f"{name}_processor_median_ms": statistics.median(worked),
    }


def _reports(file: Path, used: Sequence[Quantity]) -> dict[str, float | int]:
    database = Database(f"sqlite:///{file}", flushed=False)
    database.prepare(LEDGER_SCHEMA)
    now = [1_764_000_000.0]
    book = Book(read_prices(PRICES), lambda: now[0])
    requests = -(-LINES // (len(used) + 2))
    for begin in range(0, requests, 1000):
        with database.writing() as connection:
            for number in range(begin, min(begin + 1000, requests)):
                now[0] += 120.0
                book.reserve(connection, [_opening(number)])
                book.settle(connection, f"r{number}", used)
    by = ("tenant", "day", "bundle")
    with database.reading() as connection:
        rows = len(sums_of(connection, by).items)
        figures: dict[str, float | int] = {
            "lines": requests * (len(used) + 2),
            "requests": requests,
            "file_mib": file.stat().st_size / 2**20,
            "rows_by_tenant_day_bundle_item": rows,
            **_timed("sums", lambda: sums_of(connection, by)),
            **_timed("sums_of_all", lambda: sums_of(connection)),
            **_timed("sums_of_one_tenant", lambda: sums_of(connection, by, tenant="tenant-3")),
            **_timed("every_line", lambda: sum(1 for _ in lines_between(connection))),
            **_timed("verify", lambda: verify_chain(connection)),
        }
        assert verify_chain(connection).holds
    database.close()
    return figures


def _timed(name: str, work: Callable[[], object]) -> dict[str, float]:
    """Median seconds of three times."""
    passed, worked = [], []
    for _ in range(3):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        passed.append(time.perf_counter() - wall)
        worked.append(time.process_time() - processor)
    return {
        f"{name}_seconds": statistics.median(passed),
        f"{name}_processor_seconds": statistics.median(worked),
    }


def _opening(number: int) -> Opening:
    return Opening(
        f"r{number}", f"bundle-{number % 3}", "sha256:" + "a" * 64, tenant=f"tenant-{number % 20}",
        key=f"key-{number % 40}", source="serve", template=("age", "hat"),
        expected=(Quantity("images", 1), Quantity("denoiser_evaluations", 40)),
    )  # fmt: skip


if __name__ == "__main__":
    main()
