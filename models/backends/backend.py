"""The one protocol all backends have, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor

from models.backends.graph import Graph
from models.errors import BackendUnavailable

Runner = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]

EAGER: Final = "eager"
AUTO: Final = "auto"
# Of several engines that were built, "auto" takes the first.
BUILT: Final = ("tensorrt", "compiled", "onnx-tensorrt", "onnx")
BACKENDS: Final = (AUTO, EAGER, *sorted(BUILT))


class Backend(Protocol):
    """Builds a graph into files, and loads these as something to call in eager's place."""

    @property
    def name(self) -> str: ...

    @property
    def holds_weights(self) -> bool:
        """Whether weights are in the files, so that other weights need another engine."""
        ...

    def check(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raises BackendUnavailable where a library, the device or the precision forbids it."""
        ...

    def facts(self, graph: Graph) -> Mapping[str, str]:
        """Versions and settings that the files depend on."""
        ...

    def build(self, graph: Graph, folder: Path) -> None:
        """Write the engine's files into a folder. Raises EngineRefused."""
        ...

    def load(self, graph: Graph, folder: Path) -> Runner:
        """What to call with the graph's inputs. Raises EngineRefused."""
        ...


def backend_named(name: str) -> Backend:
    """The backend of that name. Raises BackendUnavailable."""
    if name == "compiled":
        from models.backends.compiled import CompiledBackend

        return CompiledBackend()
    if name in ("onnx", "onnx-tensorrt"):
        from models.backends.onnx import OnnxBackend

        return OnnxBackend(name)
    if name == "tensorrt":
        from models.backends.tensorrt import TensorRTBackend

        return TensorRTBackend()
    raise unknown(name)


def unknown(name: str) -> BackendUnavailable:
    """The error for a name that no backend has."""
    return BackendUnavailable(
        f"backend {name!r} is not available: give one of {', '.join(BACKENDS)}"
    )
