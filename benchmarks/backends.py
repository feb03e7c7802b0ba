"""The claim: a compiled engine draws the same pictures faster, and never compiles again.

Eager and compiled in turn, in one process, over the mini bundle. Fifty requests of other faces,
words, scales, guidance and counts go through both: the least PSNR between their pictures is told,
and how often torch's compiler was called meanwhile. A build is held against what a later process
needs to load it. The ONNX form of the denoiser, mini's and one of Stable Diffusion 1.5's four
levels at reduced width, is held against eager for one to eight rows.

    python benchmarks/backends.py [--requests 50] [--pictures 8]
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from _record import LIMNER, record, time_command

from eval.metrics import MOST_DB, psnr
from fusion import Engine, FusionRequest, Identity
from models import (
    EngineStore,
    KeyValueDenoiser,
    backend_named,
    example_rows,
    load_components,
    open_bundle,
    quiet_libraries,
)
from models.backends.engines import build_engine, rows_padded
from models.backends.graph import denoiser_graphs

STEPS = 20
Figures = dict[str, float | int | str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LIMNER_ENGINES"] = folder
        figures = _started()
        figures |= _compared(given.requests, given.pictures)
    with tempfile.TemporaryDirectory() as folder:
        figures |= _onnx(Path(folder))
    record("backends", figures)


def _started() -> Figures:
    """A first build, and what every later process needs instead of it."""
    build_seconds, _ = time_command(LIMNER, "compile", "mini", "--json")
    built = sum(entry.record.build_seconds for entry in EngineStore().entries())
    seconds = []
    for _ in range(3):
        engine = Engine.load("mini", backend="compiled").warm()
        drawer = engine._source.drawer()
        denoiser, engines = drawer.denoiser.given, drawer.backend.denoiser
        assert engines is not None
        engines.forget()
        latents, conditions = example_rows(denoiser, (16, 16))
        started = time.perf_counter()
        found = engines.found(denoiser.plain_module, latents, conditions)
        seconds.append(time.perf_counter() - started)
        assert found.runner is not None, found.reason
        engine.close()
    load_seconds = statistics.median(seconds)
    return {
        "compile_command_seconds": build_seconds,
        "build_seconds": built,
        "load_seconds": load_seconds,
        "load_share_of_build": load_seconds / built,
    }


def _request(number: int) -> FusionRequest:
    chance = random.Random(number)
    face = np.random.default_rng(number).normal(size=512).astype(np.float32)
    return FusionRequest(
        identities=(Identity(embedding=face / np.linalg.norm(face)),),
        attributes={
            "age": chance.randrange(20, 80),
            "expression": chance.choice(["smiling", "sad", "neutral"]),
            "glasses": chance.random() < 0.5,
        },
        steps=chance.choice([4, 6, 8]),
        guidance_scale=chance.choice([1.0, 2.5, 4.0]),
        identity_scale=chance.choice([0.5, 1.0, 1.2]),
        mode=chance.choice(["exact", "exact", "fast"]),
        count=chance.choice([1, 1, 2, 3]),
        seed=number,
    )


def _compared(requests: int, pictures: int) -> Figures:
    eager, compiled = (Engine.load("mini", backend=name).warm() for name in ("eager", "compiled"))
    wanted = [_request(number) for number in range(requests)]
    for engine in (eager, compiled):
        engine.fuse(wanted[0])
    torch._dynamo.utils.counters.clear()
    found = list(compiled.fuse_all(wanted))
    compilations = sum(sum(one.values()) for one in torch._dynamo.utils.counters.values())
    expected = list(eager.fuse_all(wanted))
    least = min(
        psnr(np.asarray(one), np.asarray(other))
        for first, second in zip(expected, found, strict=True)
        for one, other in zip(first.images, second.images, strict=True)
    )
    seconds: dict[str, list[float]] = {"eager": [], "compiled": []}
    together: dict[str, list[float]] = {"eager": [], "compiled": []}
    for turn in range(pictures):
        request = _request(turn).model_copy(
            update={"steps": STEPS, "guidance_scale": 2.5, "mode": "exact", "count": 1}
        )
        eight = [request.model_copy(update={"seed": seed}) for seed in range(8)]
        for name, engine in (("eager", eager), ("compiled", compiled)):
            started = time.perf_counter()
            engine.fuse(request)
            seconds[name].append(time.perf_counter() - started)
            started = time.perf_counter()
            list(engine.fuse_all(eight))
            together[name].append((time.perf_counter() - started) / len(eight))
    one = {name: statistics.median(values) for name, values in seconds.items()}
    each = {name: statistics.median(values) for name, values in together.items()}
    return {
        "requests": requests,
        "compilations_while_drawing": compilations,
        "least_psnr_db": min(least, MOST_DB),
        "eager_seconds": one["eager"],
        "compiled_seconds": one["compiled"],
        "faster": one["eager"] / one["compiled"],
        "eager_seconds_of_eight_at_once": each["eager"],
        "compiled_seconds_of_eight_at_once": each["compiled"],
        "faster_of_eight_at_once": each["eager"] / each["compiled"],
    }


def _onnx(folder: Path) -> Figures:
    backend = backend_named("onnx")
    unets = {
        "mini": load_components(open_bundle("mini"), "cpu", "fp32").unet,
        "sd15_reduced": _reduced(),
    }
    figures: Figures = {}
    for name, unet in unets.items():
        denoiser = KeyValueDenoiser(unet)
        latents, conditions = example_rows(denoiser, (16, 16))
        graph, _ = denoiser_graphs(denoiser.plain_module, latents, conditions)
        entry = build_engine(graph, backend, EngineStore(folder / name), bundle=name)
        runner = rows_padded(graph, backend.load(graph, entry.folder))
        worst = 0.0
        for rows in range(1, 9):
            tensors = graph.examples(rows, seed=rows)
            pairs = zip(graph.run(tensors), runner(tensors), strict=True)
            worst = max(worst, *(float((one - other).abs().max()) for one, other in pairs))
        figures[f"onnx_{name}_largest_difference"] = worst
    return figures


def _reduced() -> torch.nn.Module:
    """Stable Diffusion 1.5's denoiser, its four levels a tenth as wide, random weights."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    with quiet_libraries():
        unet = UNet2DConditionModel(
            sample_size=64,
            block_out_channels=(32, 64, 128, 128),
            cross_attention_dim=768,
            attention_head_dim=8,
        )
    return unet.eval().requires_grad_(False)


if __name__ == "__main__":
    main()
