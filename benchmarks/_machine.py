"""The machine a figure holds for, what it can reach at most, and the file its figures go to."""

import json
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"
Figures = dict[str, float | int | str]

# Dense half precision without sparsity, TFLOP/s, by the makers' data sheets.
_PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.0}


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine_name() -> str:
    """Of the device that draws, as a file name."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    else:
        name = f"{_processor()} {_cores()} cores"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def peak_flops(dtype: torch.dtype) -> tuple[float, str]:
    """FLOP/s the device reaches at most, and where that is from: a data sheet, or a large matrix
    product here and now.
    """
    if torch.cuda.is_available() and dtype is not torch.float32:
        name = torch.cuda.get_device_name()
        for part, tera in _PEAK_TFLOPS.items():
            if part in name:
                return tera * 1e12, f"data sheet of {part}"
    side = 8192 if torch.cuda.is_available() else 2048
    matrix = torch.randn(side, side, device=device(), dtype=dtype)
    seconds = min(timed(lambda: matrix @ matrix) for _ in range(5))
    return 2 * side**3 / seconds, f"a product of {side}² matrices"


def timed(task: Callable[[], object]) -> float:
    """Seconds of a task, the device's part of it included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    task()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def record(benchmark: str, figures: Figures) -> None:
    """Print the figures, and keep them beside the machine's others in results/<machine>.json."""
    file = RESULTS / f"{machine_name()}.json"
    RESULTS.mkdir(exist_ok=True)
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"benchmarks": {}}
    kept["machine"] = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else _processor(),
        "cores": _cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    kept["benchmarks"][benchmark] = figures
    file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    for key, value in figures.items():
        print(f"{key:<44} {value:.4g}" if isinstance(value, float) else f"{key:<44} {value}")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found.group(1) if found else platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
