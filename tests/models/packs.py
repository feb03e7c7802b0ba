"""Real little networks of every kind that lies in InsightFace's packs."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.tiny import network, tiny_projection
from tests.tiny.networks import Shapes

FAR, NEAR = 13, 5  # cells of 32 pixels: what is looked at around a face, and what must be face


def save(model: onnx.ModelProto, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)
    return file


def recogniser(seed: int = 0, width: int = 512, side: int = 112) -> onnx.ModelProto:
    return tiny_projection(np.random.default_rng(seed), side, side // 8, width, "embedding")


def shaped(inputs: Shapes, outputs: Shapes, weights: tuple[str, ...] = ()) -> onnx.ModelProto:
    """A network of these shapes that computes nothing of use."""
    nodes = [helper.make_node("Identity", [next(iter(inputs))], [name]) for name in outputs]
    return network(nodes, inputs, outputs, {name: np.zeros((3, 4), np.float32) for name in weights})


def any_size_detector() -> onnx.ModelProto:
    """[1, 3, h, w] → SCRFD's nine outputs. Like a real one it misses a face that fills its input.

    A face is a bright square on black, of 160 to 260 pixels in the input: NEAR cells around its
    middle are much brighter than FAR ones.
    """
    nodes = [
        helper.make_node("Add", ["image", "one"], ["positive"]),  # black is 0, as the padding
        helper.make_node("ReduceMean", ["positive"], ["bright"], axes=[1], keepdims=1),
        helper.make_node("AveragePool", ["bright"], ["cells"],
                         kernel_shape=[32, 32], strides=[32, 32]),
    ]  # fmt: skip
    for name, cells in (("near", NEAR), ("far", FAR)):
        nodes.append(
            helper.make_node(
                "AveragePool", ["cells"], [name], kernel_shape=[cells, cells], strides=[1, 1],
                pads=[cells // 2] * 4, count_include_pad=1,
            )
        )  # fmt: skip
    nodes += [
        helper.make_node("Sub", ["near", "far"], ["contrast"]),
        helper.make_node("Mul", ["contrast", "gain"], ["strong"]),
        helper.make_node("Add", ["strong", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["map_32"]),
    ]
    constants = {
        "one": np.float32(1),
        "gain": np.float32(40),
        "bias": np.float32(-48),
        "column": np.array([-1, 1], np.int64),
        "zero": np.float32(0),
    }
    for stride in (8, 16):
        nodes += [
            helper.make_node("AveragePool", ["bright"], [f"pool_{stride}"],
                             kernel_shape=[stride, stride], strides=[stride, stride]),
            helper.make_node("Mul", [f"pool_{stride}", "zero"], [f"map_{stride}"]),
        ]  # fmt: skip
    outputs: Shapes = {}
    for stride in (8, 16, 32):
        nodes += [
            helper.make_node("Reshape", [f"map_{stride}", "column"], [f"one_{stride}"]),
            helper.make_node("Concat", [f"one_{stride}"] * 2, [f"two_{stride}"], axis=1),
            helper.make_node("Reshape", [f"two_{stride}", "column"], [f"score_{stride}"]),
        ]
        outputs[f"score_{stride}"] = ["n", 1]
    points = np.array([-1, -0.7, 1, -0.7, 0, 0.2, -0.8, 1, 0.8, 1], np.float32)
    for name, values in (("box", np.full(4, 2.5, np.float32)), ("points", points)):
        constants[name] = values[None]
        for stride in (8, 16, 32):
            nodes += [
                helper.make_node("Mul", [f"score_{stride}", "zero"], [f"{name}_nil_{stride}"]),
                helper.make_node("Add", [f"{name}_nil_{stride}", name], [f"{name}_{stride}"]),
            ]
            outputs[f"{name}_{stride}"] = ["n", len(values)]
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    return network(nodes, {"image": [1, 3, "h", "w"]}, outputs, arrays)
