"""ONNX Runtime: the graph as ONNX, run on a CPU, on CUDA, or by its TensorRT provider."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from models.backends.backend import Runner
from models.backends.graph import Graph
from models.errors import BackendUnavailable, EngineRefused

FILE: Final = "graph.onnx"
OPSET: Final = 20
_PROVIDERS: Final = {
    ("onnx", "cpu"): "CPUExecutionProvider",
    ("onnx", "cuda"): "CUDAExecutionProvider",
    ("onnx-tensorrt", "cuda"): "TensorrtExecutionProvider",
}


class OnnxBackend:
    """ONNX Runtime by one of its providers. name: "onnx" or "onnx-tensorrt"."""

    holds_weights = True

    def __init__(self, name: str = "onnx") -> None:
        self.name = name

    def check(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raises BackendUnavailable without onnxscript or the provider, and for bfloat16."""
        if find_spec("onnxscript") is None:
            raise BackendUnavailable(
                f"backend {self.name} writes its graphs through onnxscript, which is not "
                "installed: pip install 'limner[onnx]', or give backend eager"
            )
        if dtype is torch.bfloat16:
            raise BackendUnavailable(
                f"backend {self.name} draws in fp32 or fp16, not bf16: give another precision"
            )
        provider = self._provider(device)
        import onnxruntime

        if provider not in onnxruntime.get_available_providers():
            raise BackendUnavailable(
                f"backend {self.name} on {device.type} needs ONNX Runtime's {provider}, "
                "which is not installed: pip install 'limner[gpu]', or give backend eager"
            )

    def facts(self, graph: Graph) -> Mapping[str, str]:
        """Versions of what writes and what runs the graph."""
        import onnxruntime

        return {
            "torch": torch.__version__,
            "onnxscript": version("onnxscript"),
            "onnxruntime": onnxruntime.__version__,
            "opset": str(OPSET),
            "provider": self._provider(graph.device),
        }

    def build(self, graph: Graph, folder: Path) -> None:
        """Write the graph; weights over 2 GB lie in a file beside it."""
        try:
            with _quiet(), torch.no_grad():
                program: Any = torch.onnx.export(
                    graph.exported(),
                    input_names=[each.name for each in graph.inputs],
                    output_names=list(graph.outputs),
                    opset_version=OPSET,
                    dynamo=True,
                    optimize=False,  # ONNX Runtime does that by itself, and much faster
                    verbose=False,
                )
                program.save(str(folder / FILE))
        except Exception as error:  # the exporter's own are of any kind
            reason = " ".join(str(error).split())[:300]
            raise EngineRefused(
                f"{graph.kind.value} could not be written as ONNX: {reason}; draw with backend "
                "eager"
            ) from error

    def load(self, graph: Graph, folder: Path) -> Runner:
        """A session over the file; on a GPU its inputs and outputs stay there."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = _cores()  # a thread that loads it may be kept to one
        # Spinning threads would take the cores from torch between two steps.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(
                str(folder / FILE), options, providers=[self._with_options(graph, folder)]
            )
        except Exception as error:  # ONNX Runtime's own have no public base
            reason = " ".join(str(error).split())[:200]
            raise EngineRefused(
                f"{folder / FILE} cannot be loaded: {reason}; build it again with: limner compile"
            ) from error
        names = [each.name for each in graph.inputs]
        if graph.device.type == "cpu":
            return _on_cpu(session, names)
        return _bound(session, names, graph)

    def _provider(self, device: torch.device) -> str:
        found = _PROVIDERS.get((self.name, device.type))
        if found is None:
            raise BackendUnavailable(
                f"backend {self.name} does not run on {device.type}: give backend eager"
            )
        return found

    def _with_options(self, graph: Graph, folder: Path) -> tuple[str, dict[str, object]]:
        options: dict[str, object] = {}
        if graph.device.type == "cuda":
            options["device_id"] = graph.device.index or 0
        if self.name == "onnx-tensorrt":
            options |= {
                "trt_fp16_enable": graph.dtype is torch.float16,
                "trt_engine_cache_enable": True,
                "trt_engine_cache_path": str(folder / "tensorrt"),
            }
        return self._provider(graph.device), options


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks, such as that torchvision is missing."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _on_cpu(session: Any, names: list[str]) -> Runner:
    def run(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        given = {
            name: tensor.detach().contiguous().numpy()
            for name, tensor in zip(names, tensors, strict=True)
        }
        return tuple(torch.from_numpy(array) for array in session.run(None, given))

    return run


def _bound(session: Any, names: list[str], graph: Graph) -> Runner:
    """On a GPU: inputs by address, outputs made by ONNX Runtime and taken over by DLPack."""
    kind, index = graph.device.type, graph.device.index or 0

    def run(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        binding = session.io_binding()
        held = [tensor.detach().contiguous() for tensor in tensors]
        for name, tensor in zip(names, held, strict=True):
            element = torch.empty(0, dtype=tensor.dtype).numpy().dtype.type
            binding.bind_input(name, kind, index, element, tuple(tensor.shape), tensor.data_ptr())
        for name in graph.outputs:
            binding.bind_output(name, kind, index)
        torch.cuda.current_stream(graph.device).synchronize()  # it computes on a stream of its own
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return tuple(
            torch.utils.dlpack.from_dlpack(value._get_c_value().to_dlpack()).clone()
            for value in binding.get_outputs()
        )

    return run
