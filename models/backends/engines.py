"""Engines in eager's place: found by what the models are, called with any number of rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from cache import Digest, digest, digest_bytes
from models import denoiser_module, denoiser_view
from models.backends import graph as graph_module
from models.backends.backend import BUILT, Backend, Runner, backend_named
from models.backends.gate import passes
from models.backends.graph import Graph
from models.backends.store import EngineEntry, EngineRecord, EngineStore, record_of
from models.errors import BackendUnavailable, EngineRefused
from models.text_fingerprint import WeightsWatch

FORMAT: Final = 1  # of what an engine's inputs and outputs are


class Found(NamedTuple):
    """What draws a graph: an engine's backend and what to call, or neither; and why."""

    backend: str
    runner: Runner | None
    reason: str = ""


def engine_key(graph: Graph, backend: Backend) -> Digest:
    """Under what a graph's engine is kept: all that its files depend on."""
    module = graph.module
    weights = {
        name: f"{list(tensor.shape)} {tensor.dtype} {list(tensor.stride())}"
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }
    return digest(
        {
            "format": FORMAT,
            "code": _code(),
            "backend": backend.name,
            "facts": dict(backend.facts(graph)),
            "graph": graph.kind.value,
            "inputs": [[one.name, list(one.shape), str(one.dtype)] for one in graph.inputs],
            "rows": list(graph.rows),
            "device": graph.device.type,
            "modules": _settings(module),
            "weights": weights,
            "content": WeightsWatch(module).digest() if backend.holds_weights else None,
        }
    )


def build_engine(
    graph: Graph,
    backend: Backend,
    store: EngineStore,
    *,
    bundle: str,
    doing: Callable[[str], None] = lambda what: None,
) -> EngineEntry:
    """Build a graph's engine, hold it against eager, and keep it.

    bundle: its name, for people. doing: told what is being done. Raises BackendUnavailable,
    EngineRefused.
    """
    backend.check(graph.device, graph.dtype)

    def build(folder: Path) -> EngineRecord:
        started = time.perf_counter()
        doing("building")
        backend.build(graph, folder)
        seconds = time.perf_counter() - started
        doing("comparing with eager")
        psnr = passes(graph, backend.load(graph, folder), f"{backend.name} {graph.kind.value}")
        return record_of(
            backend=backend.name,
            bundle=bundle,
            graph=graph.kind.value,
            size=(graph.width, graph.height),
            dtype=str(graph.dtype).removeprefix("torch."),
            device=_device_name(graph.device),
            facts=backend.facts(graph),
            psnr_db=psnr,
            build_seconds=seconds,
        )

    return store.write(engine_key(graph, backend), build)


def find_engine(graph: Graph, choice: str, store: EngineStore) -> Found:
    """The engine that was built for a graph. choice: a backend's name, or "auto".

    With "auto" the best there is; without one eager, and why. Nothing is built, nothing is raised.
    """
    names = BUILT if choice == "auto" else (choice,)
    reason = ""
    for name in names:
        backend = backend_named(name)
        try:
            backend.check(graph.device, graph.dtype)
            key = engine_key(graph, backend)
            if not store.has(key):
                continue
            return Found(name, rows_padded(graph, backend.load(graph, store.open(key).folder)))
        except BackendUnavailable as error:
            if choice != "auto":  # what is not installed is not missed
                reason = str(error)
        except EngineRefused as error:
            reason = reason or str(error)
    return Found("eager", None, reason)


class Engines:
    """The engines of one set of models, looked up when a size is first drawn. Thread-safe."""

    def __init__(self, choice: str, store: EngineStore | None = None) -> None:
        """choice: a backend's name, or "auto"."""
        self.choice = choice
        self._store = store or EngineStore()
        self._found: dict[object, Found] = {}
        self._lock = threading.Lock()

    def find(
        self, height: int, width: int, graph: Callable[[], Graph], other: object = None
    ) -> Found:
        """The engine for latents of this size, and of whatever `other` tells apart.

        graph: made when it is looked for, once, where the store has engines of this size at all.
        """
        key = (height, width, other)
        found = self._found.get(key)
        if found is None:
            with self._lock:
                found = self._found.get(key)
                if found is None:
                    found = Found("eager", None)
                    if self._store.has_size(height, width):
                        found = find_engine(graph(), self.choice, self._store)
                    self._found[key] = found
        return found

    def forget(self) -> None:
        """Look again: the models or the store have changed."""
        with self._lock:
            self._found = {}


def rows_padded(graph: Graph, runner: Runner) -> Runner:
    """A runner for any number of rows: too few are repeated, too many drawn in parts."""
    least, most = graph.rows

    def run(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        rows = tensors[0].shape[0]
        if least <= rows <= most:
            return runner([_contiguous(tensor) for tensor in tensors])
        if rows < least:
            padded = [
                torch.cat([one, one[-1:].expand(least - rows, *one.shape[1:])]) for one in tensors
            ]
            return tuple(output[:rows] for output in runner(padded))
        first = run([tensor[: rows - most if rows - most < most else most] for tensor in tensors])
        done = first[0].shape[0]
        rest = run([tensor[done:] for tensor in tensors])
        return tuple(torch.cat(pair) for pair in zip(first, rest, strict=True))

    return run


def _contiguous(tensor: Tensor) -> Tensor:
    return tensor.contiguous()  # as the examples were that the code was made for


@cache
def _code() -> str:
    """Of what computes a graph eagerly: diffusers, and our own modules."""
    ours = [
        Path(denoiser_module.__file__),
        Path(denoiser_view.__file__),
        Path(graph_module.__file__),
    ]
    return digest([version("diffusers"), *(digest_bytes(file.read_bytes()) for file in ours)])


def _settings(module: nn.Module) -> list[list[str]]:
    """What each part of a module is: its class, and its plain settings."""
    described = []
    for name, part in module.named_modules():
        plain: dict[str, Any] = {
            key: value
            for key, value in sorted(part.__dict__.items())
            if isinstance(value, int | float | str | bool | tuple)
            and not key.startswith("_")
            and key != "use_slicing"  # of batches, which decoders here do not get
        }
        described.append([name, type(part).__name__, repr(plain)])
    return described


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
