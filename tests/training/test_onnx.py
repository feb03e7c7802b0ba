"""Exported files: what torch computes, as InsightFace loads it, at half the size."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from models import align_face
from training import attribute_judge, detector, recogniser
from training.anchors import decode
from training.attribute_judge import AttributeJudge
from training.detector import Detector, find_faces, network_input
from training.judge_recogniser import JudgeRecogniser
from training.onnx import halve_weights
from training.recogniser import Recogniser
from training.scenes import squared
from training.verification import Identification, MarginClassifier


def unsettled(module: nn.Module, seed: int = 0) -> nn.Module:
    """In eval mode, with norms that do something: fresh statistics would hide a wrong folding."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator) * 0.1)
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
    return module.eval()


def run(path: Path, inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: inputs}))


def identification(network: nn.Module) -> Identification:
    return Identification(network, MarginClassifier(2, angle=0.3, cosine=0.0, scale=24.0))


@pytest.mark.parametrize("network", [Recogniser, JudgeRecogniser])
def test_a_recogniser_computes_what_torch_computes(
    network: type[nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = unsettled(network())
    path = tmp_path / "rec.onnx"
    recogniser.finish(identification(module), path)
    crops = torch.rand(3, 3, 112, 112) * 2 - 1
    with torch.no_grad():
        expected = nn.functional.normalize(module(crops)).numpy()
    (found,) = run(path, crops.numpy())
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    assert (expected * found).sum(1).min() > 0.99999


def test_the_judge_of_attributes_computes_what_torch_computes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = unsettled(AttributeJudge())
    attribute_judge.finish(module, tmp_path / "attributes.onnx")
    pictures = torch.rand(2, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        expected = module(pictures).numpy()
    (found,) = run(tmp_path / "attributes.onnx", pictures.numpy())
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_weights_take_half_the_space(tmp_path: Path) -> None:
    recogniser.finish(identification(Recogniser()), tmp_path / "rec.onnx")
    parameters = sum(p.numel() for p in Recogniser().parameters())
    assert (tmp_path / "rec.onnx").stat().st_size < 2.1 * parameters
    assert (tmp_path / "rec.onnx").stat().st_size < 2.4e6


def test_values_beyond_half_precision_stay_single() -> None:
    weights = onnx.numpy_helper.from_array(np.full(512, 1e6, np.float32), "weights")
    graph = onnx.helper.make_graph([], "g", [], [], [weights])
    model = onnx.helper.make_model(graph)
    halve_weights(model)
    assert model.graph.initializer[0].data_type == onnx.TensorProto.FLOAT


@pytest.fixture
def pack(tmp_path: Path) -> tuple[Path, nn.Module, nn.Module]:
    """An InsightFace pack of random networks, the detector quite ready to see faces everywhere."""
    torch.manual_seed(3)
    finder, namer = unsettled(Detector()), unsettled(Recogniser())
    with torch.no_grad():
        for head in finder.heads:  # type: ignore[union-attr]
            head.values.weight.normal_(0, 0.2)
    detector.finish(finder, tmp_path / "det.onnx")
    recogniser.finish(identification(namer), tmp_path / "rec.onnx")
    return tmp_path, finder, namer


def analysis(directory: Path, threshold: float) -> object:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from insightface.app import FaceAnalysis

        app = FaceAnalysis(name=str(directory), providers=["CPUExecutionProvider"])
        app.prepare(ctx_id=-1, det_thresh=threshold, det_size=(detector.INPUT_SIZE,) * 2)
    return app


def test_insightface_tells_the_files_apart(pack: tuple[Path, nn.Module, nn.Module]) -> None:
    app = analysis(pack[0], 0.5)
    models = app.models  # type: ignore[attr-defined]
    assert type(models["detection"]).__name__ == "SCRFD"
    assert models["detection"].use_kps
    assert not models["detection"].batched
    assert type(models["recognition"]).__name__ == "ArcFaceONNX"
    assert (models["recognition"].input_mean, models["recognition"].input_std) == (127.5, 127.5)
    assert models["recognition"].input_size == (112, 112)


@pytest.mark.parametrize("shape", [(128, 128), (90, 200), (300, 150)])
def test_insightface_finds_what_torch_finds(
    pack: tuple[Path, nn.Module, nn.Module], shape: tuple[int, int]
) -> None:
    directory, finder, namer = pack
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    image = squared(image)
    with torch.no_grad():
        boxed = cv2.resize(image, (detector.INPUT_SIZE,) * 2)
        scores = decode(finder(network_input(boxed[None]))).logits.sigmoid()[0].sort().values
    threshold = float(scores[-13:-11].mean())  # twelve anchors, then suppression
    expected = find_faces(finder, image, threshold)
    assert len(expected.boxes) >= 1
    app = analysis(directory, threshold)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        faces = app.get(np.ascontiguousarray(image[..., ::-1]))  # type: ignore[attr-defined]
    assert len(faces) == len(expected.boxes)
    for row, face in enumerate(faces):
        np.testing.assert_allclose(face.bbox, expected.boxes[row], rtol=1e-2, atol=0.1)
        np.testing.assert_allclose(face.kps, expected.landmarks[row], rtol=1e-2, atol=0.1)
        crop = align_face(image, face.kps)
        pixels = torch.from_numpy((crop.transpose(2, 0, 1)[None] - 127.5) / 127.5).float()
        with torch.no_grad():
            own = nn.functional.normalize(namer(pixels))[0].numpy()
        assert own @ face.normed_embedding > 0.999
