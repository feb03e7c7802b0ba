"""ONNX files as InsightFace loads them: weights stored in half precision, arithmetic in single.

A file is what its torch original computes (tests/training/test_onnx.py), at half the size: each
large float32 weight is kept as float16 behind a Cast, which the runtime folds away when it loads
the file.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from .loop import write_atomically

OPSET = 17
SMALLEST_HALVED = 256  # elements; below that a Cast costs more than it saves

DynamicAxes = Mapping[str, Mapping[int, str]]


def export(
    module: nn.Module,
    example: torch.Tensor,
    target: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_axes: DynamicAxes,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Trace a module in eval mode and write it to `target`, weights halved. The module is left as
    it was.
    """
    modes = {part: part.training for part in module.modules()}
    buffer = io.BytesIO()
    try:
        module.eval()
        with warnings.catch_warnings(), torch.no_grad():
            # The tracer needs nothing but torch; its successor needs one more package for the same
            # graph.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                module,
                (example,),
                buffer,  # type: ignore[arg-type]
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={name: dict(axes) for name, axes in dynamic_axes.items()},
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        for part, mode in modes.items():
            part.training = mode
    model = onnx.load_from_string(buffer.getvalue())
    halve_weights(model)
    model.producer_name, model.producer_version = "limner", ""
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, lambda path: onnx.save(model, path))


def halve_weights(model: onnx.ModelProto) -> None:
    """Store the float32 initializers of a graph as float16, each followed by a Cast back. In
    place.
    """
    casts: list[onnx.NodeProto] = []
    for initializer in model.graph.initializer:
        if initializer.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(initializer)
        limit = float(np.finfo(np.float16).max)
        if values.size < SMALLEST_HALVED or np.abs(values).max() >= limit:
            continue
        name = initializer.name
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}_half")
        initializer.CopyFrom(half)
        casts.append(
            helper.make_node("Cast", [half.name], [name], f"Cast_{name}", to=TensorProto.FLOAT)
        )
    nodes = casts + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def export_recogniser(recogniser: nn.Module, target: Path) -> None:
    """Input "input" float32 [batch, 3, 112, 112] RGB as (x - 127.5) / 127.5; output "embedding"
    [batch, 512].

    InsightFace takes a graph with Sub and Mul among its first eight nodes for one that normalises
    its own input: ours begins with Casts and a convolution.
    """
    export(
        recogniser,
        torch.zeros(2, 3, 112, 112),
        target,
        inputs=["input"],
        outputs=["embedding"],
        dynamic_axes={"input": {0: "batch"}, "embedding": {0: "batch"}},
    )
