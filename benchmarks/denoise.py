"""The claim: one picture is drawn faster than by diffusers, for keys and values are made once.

Ours and diffusers' own pipeline in turn, in one process, over the same weights: words, face, seed,
steps and guidance are the same, and so are the pictures (the least PSNR is told). FLOPs are counted
by torch; the floor is what they would take at the device's peak.

The mini bundle on any machine; with a CUDA device also Stable Diffusion 1.5's shape in fp16 with
random weights, which draw nothing and take as long.

    python benchmarks/denoise.py [--pictures 12] [--steps 20]
"""

import argparse
import os
import statistics
import threading
from collections.abc import Callable
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from _machine import Figures, device, peak_flops, record, timed
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from eval.metrics import MOST_DB, psnr
from fusion import Engine, FusionRequest, Identity
from models import ComponentKind, open_bundle, quiet_libraries, release_team

Draw = Callable[[int], np.ndarray]
GUIDANCE = 2.5
WORDS = "woman portrait, glasses, smiling, age 35"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    figures = _mini(given.pictures, given.steps)
    if torch.cuda.is_available():
        from _sd15 import random_pipeline

        with quiet_libraries():
            pipe = random_pipeline(device(), torch.float16)
        figures |= _compared("sd15_shape", pipe, Engine.from_diffusers(pipe), 512, 25, 7.5, 6)
    else:
        figures["sd15_shape"] = "not measured: no CUDA device here"
    record("denoise", figures)


def _mini(pictures: int, steps: int) -> Figures:
    bundle = open_bundle("mini")
    dtype = torch.float16 if torch.cuda.is_available() else torch.float32
    with quiet_libraries():
        pipe = _by_diffusers_own_loading(bundle, dtype)
    side = bundle.manifest.size
    return _compared("mini", pipe, Engine.load("mini"), side, steps, GUIDANCE, pictures)


def _by_diffusers_own_loading(bundle: Any, dtype: torch.dtype) -> Any:
    """The pipeline as a user of diffusers opens it."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(
        bundle.path(ComponentKind.PIPELINE), local_files_only=True
    )
    identity = bundle.path(ComponentKind.IDENTITY)
    (weights,) = identity.glob("*.safetensors")
    pipe.load_ip_adapter(
        str(identity), subfolder=None, weight_name=weights.name, image_encoder_folder=None
    )
    return pipe.to(device(), dtype)


def _compared(
    name: str, pipe: Any, engine: Engine, side: int, steps: int, guidance: float, pictures: int
) -> Figures:
    pipe.set_progress_bar_config(disable=True)
    face = np.random.default_rng(0).normal(size=512).astype(np.float32)
    face /= np.linalg.norm(face)
    pair = torch.from_numpy(face)[None, None].to(pipe.device, pipe.dtype)
    embeds = [torch.cat([torch.zeros_like(pair), pair])]

    def theirs(seed: int) -> np.ndarray:
        drawn = pipe(
            WORDS, negative_prompt="", width=side, height=side, num_inference_steps=steps,
            guidance_scale=guidance, generator=torch.Generator("cpu").manual_seed(seed),
            ip_adapter_image_embeds=embeds,
        )  # fmt: skip
        return np.asarray(drawn.images[0])

    usage: dict[str, int] = {}

    def ours(seed: int) -> np.ndarray:
        result = engine.fuse(
            FusionRequest(
                identities=(Identity(embedding=face),),
                prompt=WORDS,
                negative_prompt="",
                size=(side, side),
                steps=steps,
                guidance_scale=guidance,
                seed=seed,
                verify=False,
            )
        )
        usage.setdefault("first", result.usage.projections_computed)
        usage["later"] = result.usage.projections_computed
        return np.asarray(result.images[0])

    release_team()  # of this thread, which has loaded the models: the rivals have theirs
    arms: dict[str, Draw] = {"ours": ours, "diffusers": theirs}
    drawn = {arm: alone(lambda draw=draw: draw(0)) for arm, draw in arms.items()}  # warmed
    least = min(psnr(drawn["ours"], drawn["diffusers"]), MOST_DB)
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for seed in range(1, pictures + 1):
        for arm, draw in arms.items():
            seconds[arm].append(alone(lambda d=draw, s=seed: timed(lambda: d(s))))
    median = {arm: statistics.median(values) for arm, values in seconds.items()}
    with FlopCounterMode(display=False) as counter:
        alone(lambda: theirs(0))
        theirs(0)
    flops = counter.get_total_flops()
    peak, source = peak_flops(pipe.dtype)
    floor = flops / peak
    layers = sum(key.endswith("attn2.processor") for key in pipe.unet.attn_processors)
    projected = 4 * steps  # text and identity, both branches, at every step of diffusers' loop
    figures: Figures = {
        f"{name}_side": side,
        f"{name}_steps": steps,
        f"{name}_seconds": median["ours"],
        f"{name}_seconds_diffusers": median["diffusers"],
        f"{name}_times_faster": median["diffusers"] / median["ours"],
        f"{name}_least_psnr_db": least,
        f"{name}_gflop": flops / 1e9,
        f"{name}_floor_seconds": floor,
        f"{name}_floor_by": source,
        f"{name}_times_floor": median["ours"] / floor,
        f"{name}_utilisation": floor / median["ours"],
        f"{name}_cross_attention_layers": layers,
        f"{name}_projections": usage["first"],
        f"{name}_projections_again": usage["later"],
        f"{name}_projections_diffusers": projected,
    }
    table = Table(title=f"{name}: {side}², {steps} steps, guidance {guidance:g}, {device()}")
    for heading in ("", "ours", "diffusers"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("seconds a picture", f"{median['ours']:.3f}", f"{median['diffusers']:.3f}")
    table.add_row("of the device's peak", *(f"{floor / median[arm]:.0%}" for arm in arms))
    table.add_row("times the floor", *(f"{median[arm] / floor:.1f}" for arm in arms))
    table.add_row("projections, first picture", str(usage["first"]), str(projected))
    table.add_row("projections, same again", str(usage["later"]), str(projected))
    Console().print(table)
    return figures


def alone(task: Callable[[], Any]) -> Any:
    """A task in a thread of its own, so that neither rival's CPU threads disturb the other's."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(task()))
    thread.start()
    thread.join()
    return found[0]


if __name__ == "__main__":
    main()
