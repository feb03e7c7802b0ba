"""Networks written by hand in ONNX."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32] | NDArray[np.int64]
Shapes = dict[str, list[int | str]]


def network(
    nodes: list[onnx.NodeProto],
    inputs: Shapes,
    outputs: Shapes,
    constants: dict[str, Array],
) -> onnx.ModelProto:
    """A checked model of these nodes; constants by the names that the nodes take them by."""

    def values(shapes: Shapes) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(
        nodes,
        "tiny",
        values(inputs),
        values(outputs),
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def tiny_projection(
    rng: np.random.Generator, side: int, stride: int, width: int, output: str
) -> onnx.ModelProto:
    """[n, 3, side, side] → [n, width]: one strided convolution, a rectifier, one matrix."""
    grid = side // stride
    kernel = rng.normal(0, 0.05, (8, 3, stride, stride)).astype(np.float32)
    matrix = rng.normal(0, 1 / (grid * 8**0.5), (8 * grid * grid, width)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["grid"], strides=[stride, stride]),
        helper.make_node("Relu", ["grid"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], [output]),
    ]
    return network(
        nodes,
        {"image": ["n", 3, side, side]},
        {output: ["n", width]},
        {"kernel": kernel, "matrix": matrix},
    )
