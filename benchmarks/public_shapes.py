"""The claim: the public weights' directories load, draw, unload and swap, and errors are named.

Stable Diffusion 1.5 and SDXL with FaceID in full size: file names, keys, shapes and configurations
as published, random weights, so that what is drawn is noise. 2 and 8 GB are written to a temporary
folder, one model after the other, and removed.

    python benchmarks/public_shapes.py [--side 64] [--steps 2] [--folder FOLDER]
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np
import psutil
import torch
from _record import record

from fusion import Engine, FusionRequest, Identity
from fusion.memory import return_memory
from models import Bundle, BundleCorrupt, load_components, open_bundle
from tests.public_shapes import (
    MODELS,
    PublicModel,
    Shapes,
    faceid_shapes,
    text_shapes,
    unet_shapes,
    vae_shapes,
    with_another_face,
    write_public_bundle,
    write_weights,
)

Figures = dict[str, float | int | str]
T = TypeVar("T")
PRECISION = "fp16" if torch.cuda.is_available() else "bf16"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where there is room for 10 GB")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
    figures: Figures = {"precision": PRECISION, "side": given.side, "steps": given.steps}
    for model in MODELS.values():
        with tempfile.TemporaryDirectory(dir=given.folder) as place:
            measured = _measured(model, Path(place), given.side, given.steps)
        figures |= {f"{model.name.partition('-')[0]}_{key}": one for key, one in measured.items()}
    record("public_shapes", figures)


def _measured(model: PublicModel, place: Path, side: int, steps: int) -> Figures:
    figures: Figures = {}
    parts = {"unet": unet_shapes(model), "vae": vae_shapes(model), "faceid": faceid_shapes(model)}
    parts |= {name: text_shapes(config) for name, config in model.text_encoders.items()}
    for name, shapes in parts.items():
        figures[f"{name}_tensors"] = len(shapes)
        figures[f"{name}_parameters"] = sum(map(prod, shapes.values()))
    first = write_public_bundle(place / "first", model)
    second = with_another_face(first, place / "second", model)
    figures["gigabytes"] = sum(one.stat().st_size for one in first.rglob("*.*")) / 1e9
    before = _held()
    engine, figures["open_seconds"] = _timed(
        lambda: Engine.load(first, precision=PRECISION)
    )  # every file's sha256 included
    _, figures["load_seconds"] = _timed(engine.warm)
    figures["resident_gigabytes"] = (_held() - before) / 1e9
    figures["draw_seconds"], drawn = _drawn(engine, side, steps)
    engine.unload()
    figures["resident_gigabytes_unloaded"] = (_held() - before) / 1e9
    figures["draw_seconds_after_unload"], again = _drawn(engine, side, steps)
    figures["same_picture_after_unload"] = str(np.array_equal(drawn, again))
    engine.close()
    engine = Engine.load(second, precision=PRECISION)
    _, swapped = _drawn(engine, side, steps)
    engine.close()
    engine.unload()
    figures["another_adapter_another_picture"] = str(not np.array_equal(drawn, swapped))
    bundle = open_bundle(second)  # as it is before its files are spoiled
    file = second / "ip-adapter" / model.faceid
    key = "ip_adapter.1.to_k_ip.weight"
    figures["adapter_without_a_key"] = _named(bundle, file, faceid_shapes(model), key)
    file = second / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors"
    figures["unet_without_a_key"] = _named(bundle, file, unet_shapes(model), "conv_in.weight")
    return figures


def _drawn(engine: Engine, side: int, steps: int) -> tuple[float, np.ndarray]:
    face = np.random.default_rng(0).normal(size=512).astype(np.float32)
    request = FusionRequest(
        identities=(Identity(embedding=face / np.linalg.norm(face)),),
        prompt="portrait of a woman, age 35, smiling",
        size=(side, side),
        steps=steps,
        seed=1,
        verify=False,
    )
    result, seconds = _timed(lambda: engine.fuse(request))
    return seconds, np.asarray(result.images[0])


def _named(bundle: Bundle, file: Path, shapes: Shapes, key: str) -> str:
    """Whether a key that is left out is named; the file is written anew."""
    file.unlink()  # it is shared with another bundle
    write_weights(file, {name: shape for name, shape in shapes.items() if name != key})
    try:
        load_components(bundle, precision=PRECISION)
    except BundleCorrupt as error:
        return "named" if key in str(error) else str(error)
    return "loaded all the same"


def _timed(task: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return task(), time.perf_counter() - started


def _held() -> int:
    """Bytes of this process, and of the GPU where there is one; free ones are given back first."""
    return_memory()
    device = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    return int(psutil.Process().memory_info().rss) + device


if __name__ == "__main__":
    main()
