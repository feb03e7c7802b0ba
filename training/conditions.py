"""What the denoiser's training reads instead of computing it at every step: latents and identity
embeddings.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray

from models import align_face

from .augmentation import to_network
from .autoencoder import encode_pictures
from .data import Pictures
from .loop import write_atomically


def cache_embeddings(
    recogniser: Path, pictures: Pictures, target: Path, threads: int | None
) -> None:
    """Unit embeddings of all pictures from the bundle's own ONNX recogniser: float16 [N, 512], by
    true landmarks.

    Beside them, as lengths-*.npy, the lengths they had before: float16 [N].
    """
    import onnxruntime

    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(
        str(recogniser), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(pictures), 64):
        rows = range(start, min(start + 64, len(pictures)))
        crops = np.stack(
            [align_face(np.asarray(pictures.images[i]), pictures.landmarks[i]) for i in rows]
        )
        found.append(session.run(None, {name: to_network(crops).numpy()})[0])
    embeddings = np.concatenate(found)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    _save(target.with_name(f"lengths-{target.name}"), lengths[:, 0].astype(np.float16))
    _save(target, (embeddings / lengths).astype(np.float16))


def cache_latents(
    autoencoder: Path, pictures: Pictures, target: Path, device: str, threads: int | None
) -> None:
    """Latents of all pictures as the denoiser sees them, scaled to unit spread: float16 [N, c, S/8,
    S/8].
    """
    if threads is not None:
        torch.set_num_threads(threads)
    model = AutoencoderTiny.from_pretrained(autoencoder)
    assert isinstance(model, AutoencoderTiny)
    model.to(device).eval().to(memory_format=torch.channels_last)
    factor = float(model.config["scaling_factor"])
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        parts = [
            (latents * factor).half().numpy() for latents in encode_pictures(model, pictures.images)
        ]
    _save(target, np.ascontiguousarray(np.concatenate(parts)))


def _save(target: Path, array: NDArray[np.float16]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, array)

    write_atomically(target, write)
