"""Engines over random weights, and pictures in which the tiny detector finds what it should."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from cache import ConditioningStore, PrefixPool
from fusion import Engine, Event, FusionRequest, Handle
from fusion.conditioning import Conditioning
from fusion.denoiser import RowDenoiser
from fusion.drawing import Drawing
from fusion.loop import StepLoop
from fusion.sampler import Row
from fusion.stages.condition import condition
from fusion.texts import TextEncoders
from models import (
    Components,
    Face,
    FacesSettings,
    KeyValueDenoiser,
    load_components,
    open_bundle,
)
from prompting import PromptPlan

Picture = NDArray[np.uint8]


@pytest.fixture(scope="session")
def engine(tiny_bundle: Path) -> Iterator[Engine]:
    """One engine for all tests: a used one must draw like a fresh one."""
    with Engine.load(tiny_bundle, device="cpu") as engine:
        yield engine


@pytest.fixture(scope="session")
def faceid_pipe(tiny_bundle: Path) -> StableDiffusionPipeline:
    """The tiny bundle as diffusers itself would have it, FaceID loaded."""
    return load_components(open_bundle(tiny_bundle), device="cpu").pipeline()


@pytest.fixture
def plain_pipe(tiny_bundle: Path) -> StableDiffusionPipeline:
    """The same pipeline without an adapter."""
    pipe = load_components(open_bundle(tiny_bundle), device="cpu").pipeline()
    pipe.unload_ip_adapter()
    return pipe


def conditioning_of(pipe: StableDiffusionPipeline, prompt: str, seed: int) -> Conditioning:
    """A prompt and a unit embedding, with guidance, as the condition stage makes them."""
    plan = PromptPlan(prompt, "", (), 0, 0, (), ())
    with ExitStack() as leases:
        return condition(
            plan,
            unit(seed),
            encoders=TextEncoders(Components.from_pipeline(pipe).towers, PrefixPool(1 << 20)),
            denoiser=KeyValueDenoiser(pipe.unet),
            store=ConditioningStore(1 << 20),
            leases=leases,
            dtype=torch.float32,
            guided=True,
            identity_scale=1.0,
        ).conditioning


def drawn(
    denoiser: RowDenoiser, rows: Sequence[Row], conditioning: Conditioning
) -> tuple[torch.Tensor, ...]:
    """The latents of rows that a loop of their own has drawn."""
    loop, ended = StepLoop(lambda: denoiser, len(rows)), Queue[BaseException | None]()
    drawing = Drawing(tuple(rows), conditioning, lambda: None, lambda *_: None, ended.put)
    loop.admit(drawing)
    if (error := ended.get()) is not None:
        raise error
    return drawing.latents


def painting(seed: int, width: int = 128, height: int = 128) -> Picture:
    """A bright, smooth picture: the tiny detector finds one face in the middle of it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(120, 255, (8, 8, 3)).astype(np.float32)
    rows = np.linspace(0, 7, height)
    columns = np.linspace(0, 7, width)
    y0, x0 = rows.astype(int).clip(0, 6), columns.astype(int).clip(0, 6)
    fy, fx = (rows - y0)[:, None, None], (columns - x0)[None, :, None]
    top = coarse[y0][:, x0] * (1 - fx) + coarse[y0][:, x0 + 1] * fx
    bottom = coarse[y0 + 1][:, x0] * (1 - fx) + coarse[y0 + 1][:, x0 + 1] * fx
    picture: Picture = (top * (1 - fy) + bottom * fy).round().astype(np.uint8)
    return picture


def unit(seed: int) -> NDArray[np.float32]:
    """A random identity, float32 [512] of unit length."""
    values = np.random.default_rng(seed).normal(size=512)
    embedding: NDArray[np.float32] = (values / np.linalg.norm(values)).astype(np.float32)
    return embedding


def submitted(
    engine: Engine, request: FusionRequest, listener: Callable[[Event, Handle], None]
) -> Handle:
    """A request whose listener hears every event when it happens, in the thread that emits it."""
    with engine._changed:  # nothing is begun meanwhile
        handle = engine.submit(request)
        handle.listen(lambda event: listener(event, handle))
    return handle


SEES_ALL = FacesSettings(detector_sizes=((128, 128),), smallest_face=8)


@dataclass
class Scripted:
    """An analyser that sees what it is told: `script` maps a picture to its faces."""

    script: Callable[[Picture], tuple[Face, ...]]
    settings: FacesSettings = SEES_ALL
    hint: str = "ask somebody else"
    digest: str = "scripted"
    calls: int = 0

    def analyse(self, image: Picture) -> tuple[Face, ...]:
        """What the script says."""
        self.calls += 1
        return self.script(image)


def face_at(left: float, top: float, side: float, embedding: NDArray[np.float32]) -> Face:
    """A frontal face whose box is a square of that side."""
    shares = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
    landmarks = (shares * side + [left, top]).astype(np.float32)
    box = np.array([left, top, left + side, top + side], dtype=np.float32)
    return Face(box, 0.9, landmarks, embedding)
