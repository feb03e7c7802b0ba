"""torch's compiler ahead of time (AOTInductor): machine code in one file, weights from memory.

The compiler of torch.compile, run once by `limner compile` instead of at the first request of every
process: nothing is traced while requests are drawn, so nothing can recompile. The code is given the
weights when it is loaded. They are the model's own tensors, so a LoRA merged into them later is
drawn with, and one engine serves every checkpoint of an architecture.
"""

from __future__ import annotations

import platform
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from cache import digest
from models.backends.backend import Runner
from models.backends.graph import Graph
from models.errors import BackendUnavailable, EngineRefused

FILE: Final = "graph.pt2"
_OPTIONS: Final = {
    "aot_inductor.package_constants_in_so": False,
    "always_keep_tensor_constants": True,  # else weights of up to eight numbers are in the code
    "cpp.dynamic_threads": True,  # as many as the thread that calls may use, not as were here
}


class CompiledBackend:
    """AOTInductor for CPUs and CUDA."""

    name = "compiled"
    holds_weights = False

    def check(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raises BackendUnavailable without a C++ compiler, or for another kind of device."""
        if device.type not in ("cpu", "cuda"):
            raise BackendUnavailable(
                f"backend compiled is for CPUs and CUDA, not {device.type}: give backend eager"
            )
        if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
            raise BackendUnavailable(
                "backend compiled needs a C++ compiler: install g++ (apt install g++), or give "
                "backend eager"
            )

    def facts(self, graph: Graph) -> Mapping[str, str]:
        """torch, its compiler's options, and the kind of processor."""
        return {
            "torch": torch.__version__,
            "options": repr(sorted(_OPTIONS.items())),
            "processor": _processor(graph.device),
        }

    def build(self, graph: Graph, folder: Path) -> None:
        """Compile: tens of seconds for a small graph, minutes for a large one."""
        from torch._inductor import aoti_compile_and_package

        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # torch's own, about its own names
                aoti_compile_and_package(
                    graph.exported(),
                    package_path=str(folder / FILE),
                    inductor_configs=dict(_OPTIONS),
                )
        except Exception as error:  # the compiler's own are of any kind
            reason = " ".join(str(error).split())[:300]
            raise EngineRefused(
                f"torch could not compile {graph.kind.value}: {reason}; draw with backend eager"
            ) from error

    def load(self, graph: Graph, folder: Path) -> Runner:
        """The compiled graph, over the weights of the graph's own module."""
        from torch._inductor import aoti_load_package

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                package: Any = aoti_load_package(str(folder / FILE))
            weights = _weights(graph)
            constants = {name: weights[name] for name in package.get_constant_fqns()}
            package.load_constants(constants, check_full_update=True, user_managed=True)
        except (RuntimeError, KeyError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EngineRefused(
                f"{folder / FILE} cannot be loaded: {reason}; build it again with: limner compile"
            ) from error

        def run(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
            # The weights are named here so that they live as long as what reads them.
            assert constants is not None
            return tuple(cast("Sequence[Tensor]", package(*tensors)))

        return run


def _processor(device: torch.device) -> str:
    """What machine code is made for: all that a CPU can do, or a GPU's architecture."""
    if device.type == "cuda":
        return f"cuda {torch.version.cuda} {torch.cuda.get_device_capability(device)}"
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        described = platform.processor()
    able = sorted({line for line in described.splitlines() if line.startswith("flags")})
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} {capability} {digest(able)[:16]}"


def _weights(graph: Graph) -> dict[str, Tensor]:
    """Every weight by its name in the graph, detached: the same memory."""
    module = graph.module
    weights = dict(module.named_buffers(remove_duplicate=False))
    weights.update(module.named_parameters(remove_duplicate=False))
    return {name: tensor.detach() for name, tensor in weights.items()}
