"""Is the engine honest? Its pictures beside those of diffusers' own pipeline, number for number."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eval.bench import Bench, Image
from eval.card import Chapter, Figure, Table
from eval.metrics import MOST_DB, psnr
from eval.people import balanced_wishes, held_out_people, snapshot
from fusion import Engine, FusionRequest, Identity
from models import ComponentKind
from prompting import Attributes, structured_prompt
from world import HELD_OUT

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

_FIRST = 110_000  # held-out seed of the first person
_BAR_DB = 55.0


def parity_chapter(bench: Bench) -> Chapter:
    """Least PSNR of Engine.from_diffusers against the pipeline, over the four combinations."""
    count = bench.extent.parity_pictures
    people = held_out_people(count, _FIRST)
    rng = np.random.default_rng([HELD_OUT, _FIRST])
    wishes = balanced_wishes(people, _FIRST)
    prompts = [structured_prompt(Attributes(**dict(wish.attributes))) for wish in wishes]
    embeddings = [_embedding(bench, snapshot(person, rng).image) for person in people]
    guidance = bench.bundle.manifest.defaults.guidance_scale
    kinds = [False, True] if bench.bundle.has(ComponentKind.IDENTITY) else [False]
    cases = [(faceid, scale) for faceid in kinds for scale in (1.0, max(guidance, 1.5))]
    rows, values = [], []
    for faceid, scale in bench.track(cases, "parity with diffusers"):
        with _without_bars():
            pipe = open_pipeline(bench, faceid)
        engine = Engine.from_diffusers(pipe)
        decibels = []
        for index, prompt in enumerate(prompts):
            embedding = embeddings[index] if faceid else None
            theirs = by_pipeline(bench, pipe, prompt, embedding, scale, index)
            ours = _by_engine(bench, engine, prompt, embedding, scale, index)
            decibels.append(min(psnr(theirs, ours), MOST_DB))
        values.append(min(decibels))
        name = "FaceID" if faceid else "no FaceID"
        rows.append((name, f"{scale:g}", f"{min(decibels):.1f} dB"))
    figure = Figure(
        key="parity", title="least PSNR against the pipeline itself", unit="dB", digits=1,
        value=min(values), bar=_BAR_DB, ceiling=MOST_DB, count=len(cases) * count,
        note=f"{MOST_DB:.0f} dB stands for pictures that are identical",
    )  # fmt: skip
    method = (
        "The same prompt, seed, steps, guidance scale and identity embedding through "
        "Engine.from_diffusers(pipe) and through pipe(…), with and without FaceID, with guidance "
        f"and without, {count} pictures each."
    )
    table = Table(
        title="By combination",
        columns=("identity", "guidance scale", "least PSNR"),
        rows=tuple(rows),
    )
    return Chapter(
        key="parity", title="The engine against diffusers", method=method,
        figures=(figure,), tables=(table,),
    )  # fmt: skip


def open_pipeline(bench: Bench, faceid: bool) -> "StableDiffusionPipeline":
    """The bundle's pipeline as diffusers itself opens it, with its FaceID adapter or without."""
    from diffusers import StableDiffusionPipeline

    parts = bench.components
    pipe = StableDiffusionPipeline.from_pretrained(
        bench.bundle.path(ComponentKind.PIPELINE), local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    if faceid:
        directory = bench.bundle.path(ComponentKind.IDENTITY)
        weights = sorted(directory.glob("*.safetensors"))[0]
        pipe.load_ip_adapter(
            str(directory), subfolder=None, weight_name=weights.name, image_encoder_folder=None
        )
        pipe.set_ip_adapter_scale(1.0)
    return pipe.to(parts.device, parts.dtype)


def by_pipeline(
    bench: Bench,
    pipe: Any,  # diffusers is not typed
    prompt: str,
    embedding: NDArray[np.float32] | None,
    guidance_scale: float,
    seed: int,
) -> Image:
    """The picture of diffusers' own pipeline, uint8 [size, size, 3]."""
    import torch

    embeds = None
    if embedding is not None:
        face = torch.from_numpy(embedding)[None, None].to(pipe.device, pipe.dtype)
        embeds = [torch.cat([torch.zeros_like(face), face]) if guidance_scale > 1 else face]
    result = pipe(
        prompt=prompt,
        negative_prompt="",
        width=bench.size,
        height=bench.size,
        num_inference_steps=bench.bundle.manifest.defaults.steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator("cpu").manual_seed(seed),
        ip_adapter_image_embeds=embeds,
    )
    return np.asarray(result.images[0].convert("RGB"), dtype=np.uint8)


def _by_engine(
    bench: Bench,
    engine: Engine,
    prompt: str,
    embedding: NDArray[np.float32] | None,
    guidance_scale: float,
    seed: int,
) -> Image:
    request = FusionRequest(
        identities=() if embedding is None else (Identity(embedding=embedding),),
        prompt=prompt,
        negative_prompt="",
        steps=bench.bundle.manifest.defaults.steps,
        guidance_scale=guidance_scale,
        identity_scale=1.0,
        size=(bench.size, bench.size),
        seed=seed,
        verify=False,
    )
    return np.asarray(engine.fuse(request).images[0].convert("RGB"), dtype=np.uint8)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Within it the libraries draw no progress bars between ours; afterwards as before."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    drawing = [library for library in libraries if library.is_progress_bar_enabled()]
    for library in drawing:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in drawing:
            library.enable_progress_bar()


def _embedding(bench: Bench, image: Image) -> NDArray[np.float32]:
    return np.array(bench.analyser.one_face(image, 1).embedding)
