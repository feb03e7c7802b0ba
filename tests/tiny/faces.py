"""A face pack in InsightFace's layout: a detector written by hand, a random recogniser."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.tiny.networks import Array, network, tiny_projection
from tests.tiny.pipelines import SIZE


def write_faces(directory: Path, rng: np.random.Generator) -> None:
    """A face pack in InsightFace's layout."""
    directory.mkdir(exist_ok=True)
    onnx.save(tiny_detector(), directory / "det.onnx")
    onnx.save(tiny_projection(rng, 112, 14, 512, "embedding"), directory / "rec.onnx")


def tiny_detector() -> onnx.ModelProto:
    """[1, 3, 128, 128] → SCRFD's nine outputs: scores, boxes, points at strides 8, 16, 32."""
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["pooled"], kernel_shape=[32, 32], strides=[32, 32]
        ),
        helper.make_node("ReduceMean", ["pooled"], ["bright"], axes=[1], keepdims=1),
        helper.make_node("Reshape", ["bright", "cells"], ["brightness"]),  # [16, 1]
        # Logits: gain · (routing · brightness) + bias, for each of the 32 anchors of stride 32.
        helper.make_node("MatMul", ["routing", "brightness"], ["routed"]),
        helper.make_node("Add", ["routed", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["score_32"]),
    ]
    routing = np.zeros((32, 16), dtype=np.float32)
    bias = np.full((32, 1), -20.0, dtype=np.float32)
    # The middle: the cell whose anchor is at (64, 64), bright where the picture is.
    routing[2 * (2 * 4 + 2), 2 * 4 + 2] = 100.0
    bias[2 * (2 * 4 + 2)] = 90.0
    # Side by side: anchors at (32, 32) and (96, 32), only where the lower half is padding.
    for column in (1, 3):
        anchor = 2 * (1 * 4 + column)
        routing[anchor, [1 * 4 + column - 1]] = 100.0
        routing[anchor, 12:16] = -250.0
        bias[anchor] = 90.0 - 996.0
    constants: dict[str, Array] = {"routing": routing, "bias": bias}
    outputs: dict[str, list[int | str]] = {}
    shapes = {stride: 2 * (SIZE // stride) ** 2 for stride in (8, 16, 32)}
    for stride, anchors in shapes.items():
        outputs[f"score_{stride}"] = [anchors, 1]
        if stride != 32:
            constants[f"quiet_{stride}"] = np.zeros((anchors, 1), dtype=np.float32)
            nodes.append(helper.make_node("Identity", [f"quiet_{stride}"], [f"score_{stride}"]))
    box = np.tile(np.array([40, 48, 40, 48]) / 32, (32, 1))
    points = np.tile(np.array([-18, -12, 18, -12, 0, 8, -14, 26, 14, 26]) / 32, (32, 1))
    side = [2 * (1 * 4 + column) + k for column in (1, 3) for k in (0, 1)]
    box[side] *= 0.6
    points[side] *= 0.6
    for name, values in (("box", box), ("points", points)):
        for stride, anchors in shapes.items():
            whole = values if stride == 32 else np.zeros((anchors, values.shape[1]), np.float32)
            constants[f"{name}_constant_{stride}"] = whole.astype(np.float32)
            outputs[f"{name}_{stride}"] = [anchors, values.shape[1]]
            nodes.append(
                helper.make_node("Identity", [f"{name}_constant_{stride}"], [f"{name}_{stride}"])
            )
    constants["cells"] = np.array([16, 1], dtype=np.int64)
    return network(nodes, {"image": [1, 3, SIZE, SIZE]}, outputs, constants)
