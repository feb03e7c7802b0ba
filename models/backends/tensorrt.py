"""TensorRT through torch-tensorrt, ahead of time, with as many rows as the graph may have."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from models.backends.backend import Runner
from models.backends.graph import Graph
from models.errors import BackendUnavailable, EngineRefused

FILE: Final = "graph.ep"
_USUAL_ROWS: Final = 8


class TensorRTBackend:
    """torch-tensorrt's ahead-of-time engines, strongly typed: the graph's own dtype is kept."""

    name = "tensorrt"
    holds_weights = True

    def check(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raises BackendUnavailable without torch-tensorrt or a CUDA device."""
        if find_spec("torch_tensorrt") is None:
            raise BackendUnavailable(
                "backend tensorrt needs torch-tensorrt, which is not installed: pip install "
                "'limner[gpu]', or give backend compiled or eager"
            )
        if device.type != "cuda":
            raise BackendUnavailable(
                f"backend tensorrt draws on an NVIDIA GPU, not on {device.type}: give "
                "backend compiled or eager"
            )

    def facts(self, graph: Graph) -> Mapping[str, str]:
        """Versions, and the GPU the engine is built for."""
        major, minor = torch.cuda.get_device_capability(graph.device)
        return {
            "torch": torch.__version__,
            "torch_tensorrt": version("torch-tensorrt"),
            "gpu": torch.cuda.get_device_name(graph.device),
            "capability": f"{major}.{minor}",
        }

    def build(self, graph: Graph, folder: Path) -> None:
        """Minutes for a large graph."""
        import torch_tensorrt

        least, most = graph.rows
        inputs = [
            torch_tensorrt.Input(
                min_shape=(least, *each.shape),
                opt_shape=(max(least, min(_USUAL_ROWS, most)), *each.shape),
                max_shape=(most, *each.shape),
                dtype=each.dtype,
                name=each.name,
            )
            for each in graph.inputs
        ]
        try:
            with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                compiled = torch_tensorrt.dynamo.compile(
                    graph.exported(), arg_inputs=inputs, min_block_size=1
                )
                torch_tensorrt.save(
                    compiled,
                    str(folder / FILE),
                    arg_inputs=list(graph.examples()),
                    retrace=False,
                )
        except Exception as error:  # TensorRT's own are of any kind
            reason = " ".join(str(error).split())[:300]
            raise EngineRefused(
                f"TensorRT could not build {graph.kind.value}: {reason}; draw with backend "
                "compiled or eager"
            ) from error

    def load(self, graph: Graph, folder: Path) -> Runner:
        """The engine, on the device it was built for."""
        import torch_tensorrt

        try:
            module: Any = torch_tensorrt.load(str(folder / FILE)).module()
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise EngineRefused(
                f"{folder / FILE} cannot be loaded: {reason}; build it again with: limner compile"
            ) from error

        def run(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
            return tuple(cast("Sequence[Tensor]", module(*tensors)))

        return run
