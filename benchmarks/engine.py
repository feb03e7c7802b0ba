"""The claims: requests at once are drawn faster than one after another, and as if alone.

Throughput of the mini bundle by concurrency against one after another; how soon a request joins a
running batch; a thousand mixed requests through one engine against fresh single runs, picture by
picture; what an idle team of CPU threads elsewhere costs.

    python benchmarks/engine.py [--pictures 32] [--requests 1000] [--part speed|mixed|all]
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from _machine import Figures, device, record
from rich.console import Console
from rich.progress import track
from rich.table import Table

from eval.metrics import MOST_DB, psnr
from eval.people import held_out_people, snapshot
from fusion import Engine, EngineSettings, EventKind, FusionRequest, Handle, Identity
from models import load_components, open_bundle, release_team

LOADS = (1, 2, 3, 4, 8)
STEPS = 20
FACES = 6
FIRST_PERSON = 95_000  # of the held-out seeds
SCHEDULERS = (None, "ddim", "dpm++2m", "euler", "unipc")
SIZES = ((128, 128), (96, 96), (64, 128))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--part", choices=("speed", "mixed", "all"), default="all")
    given = parser.parse_args()
    if given.part != "mixed":
        with Engine.load("mini") as engine:
            figures = _throughput("mini", engine, portraits(given.pictures)) | _admission(engine)
        if not torch.cuda.is_available():
            figures |= _teams()
        if torch.cuda.is_available():
            from _sd15 import random_pipeline

            pipe = random_pipeline(device(), torch.float16)
            with Engine.from_diffusers(pipe) as engine:
                figures |= _throughput("sd15_shape", engine, strangers(16))
        else:
            figures["sd15_shape"] = "not measured: no CUDA device here"
        record("engine", figures)
    if given.part != "speed":
        record("mixed", _mixed(given.requests))


def portraits(count: int) -> list[FusionRequest]:
    """Photos, words and seeds that differ; the likeness is checked, as a service would."""
    people = held_out_people(FACES, FIRST_PERSON)
    rng = np.random.default_rng(FIRST_PERSON)
    photos = [snapshot(person, rng).image for person in people]
    return [
        FusionRequest(
            identities=(Identity(image=photos[number % FACES]),),
            attributes={"age": 20 + number % 50, "glasses": number % 2 == 0},
            steps=STEPS,
            seed=number,
        )
        for number in range(count)
    ]


def strangers(count: int) -> list[FusionRequest]:
    """512², 25 steps, guidance 7.5: faces nobody has, words no model knows."""
    faces = np.random.default_rng(0).normal(size=(count, 512))
    return [
        FusionRequest(
            identities=(Identity(embedding=face),), prompt=f"somebody {number}", negative_prompt="",
            size=(512, 512), steps=25, guidance_scale=7.5, seed=number, verify=False,
        )
        for number, face in enumerate(faces)
    ]  # fmt: skip


def _throughput(name: str, engine: Engine, requests: list[FusionRequest]) -> Figures:
    """Pictures a second with so many callers, each waiting for its own; two rounds, the better."""
    count = len(requests)
    list(map(engine.fuse, requests[:FACES]))

    def seconds(callers: int) -> float:
        started = time.perf_counter()
        if callers == 0:
            list(map(engine.fuse, requests))
        else:
            with ThreadPoolExecutor(callers) as pool:
                list(pool.map(engine.fuse, requests))
        return time.perf_counter() - started

    rounds = [{load: seconds(load) for load in (0, *LOADS)} for _ in range(2)]
    best = {load: min(one[load] for one in rounds) for load in (0, *LOADS)}
    table = Table(title=f"{name}: {count} portraits of {requests[0].steps} steps")
    for heading in ("callers at once", "pictures a second", "against one after another"):
        table.add_column(heading, justify="right")
    figures: Figures = {f"{name}_serial_pictures_a_second": count / best[0]}
    for load in LOADS:
        times = best[0] / best[load]
        table.add_row(str(load), f"{count / best[load]:.2f}", f"{times:.2f} ×")
        figures[f"{name}_times_serial_at_{load}"] = times
    Console().print(table)
    return figures


def _stamps(handle: Handle, kinds: tuple[EventKind, ...]) -> Iterator[tuple[EventKind, float]]:
    for event in handle.events():
        if event.kind in kinds:
            yield event.kind, time.perf_counter()


def _admission(engine: Engine, tries: int = 40) -> Figures:
    """From the end of a request's preparation to the end of its first step, in step times of the
    batch that it makes; three requests are being drawn already.
    """
    waits, steps = [], []
    running = [
        engine.submit(FusionRequest(steps=500, seed=n, verify=False, attributes={"age": 30}))
        for n in range(3)
    ]
    for handle in running:
        next(_stamps(handle, (EventKind.STEP,)))
    for seed in range(tries):
        joining = engine.submit(FusionRequest(steps=12, seed=seed, verify=False))
        ready, stamps = 0.0, []
        for event in joining.events():
            if event.kind is EventKind.STAGE and str(event.stage) == "denoise":
                ready = time.perf_counter()
            elif event.kind is EventKind.STEP:
                stamps.append(time.perf_counter())
        step = float(np.median(np.diff(stamps)))
        steps.append(step)
        waits.append((stamps[0] - ready - step) / step)
        time.sleep(0.37 * step * (seed % 5))  # not always at the same moment of a step
    for handle in running:
        handle.cancel()
    for handle in running:
        list(handle.events())
    figures: Figures = {
        "admission_step_times_median": float(np.median(waits)),
        "admission_step_times_95": float(np.percentile(waits, 95)),
        "admission_step_times_most": max(waits),
        "admission_step_seconds": float(np.median(steps)),
    }
    Console().print(
        f"A new request waits {np.median(waits):.2f} step times before its first step (95 %: "
        f"{np.percentile(waits, 95):.2f}, most: {max(waits):.2f}), while three are being drawn.\n"
    )
    return figures


def _teams() -> Figures:
    """Seconds of a step in a thread, while another thread keeps an idle OpenMP team, and not."""
    denoiser = load_components(open_bundle("mini"), device="cpu").unet  # this thread has a team now
    latents, timestep = torch.randn(2, denoiser.config.in_channels, 16, 16), torch.tensor(500)
    text = torch.randn(2, 77, denoiser.config.cross_attention_dim)
    face = {"image_embeds": [torch.randn(2, 1, 512)]}

    def step() -> float:
        seconds = []
        with torch.inference_mode():
            for _ in range(20):
                started = time.perf_counter()
                denoiser(latents, timestep, encoder_hidden_states=text, added_cond_kwargs=face)
                seconds.append(time.perf_counter() - started)
        return float(np.median(seconds))

    found = []
    for prepare in (lambda: torch.randn(999, 999) @ torch.randn(999, 999), release_team):
        prepare()
        thread = threading.Thread(target=lambda: found.append(step()))
        thread.start()
        thread.join()
    beside, alone = found
    Console().print(
        f"A step of diffusers' UNet takes {beside * 1e3:.1f} ms beside another thread's idle team, "
        f"{alone * 1e3:.1f} ms once that was given back.\n"
    )
    return {"step_ms_beside_an_idle_team": beside * 1e3, "step_ms_alone": alone * 1e3}


def mixed(number: int, faces: list[np.ndarray], targets: list[np.ndarray]) -> FusionRequest:
    """One of the thousand: other words, faces, scales, steps, sizes, schedulers, targets, modes."""
    rng = np.random.default_rng(number)
    fuses = number % 6 == 0
    return FusionRequest(
        identities=(Identity(image=faces[number % len(faces)]),) if number % 5 else (),
        target=targets[number % len(targets)] if fuses else None,
        attributes={"age": int(rng.integers(18, 80)), "hat": bool(rng.integers(2))},
        negative_prompt="beard" if number % 3 else None,
        steps=int(rng.integers(2, 11)),
        guidance_scale=float(rng.choice([1.0, 2.5, 6.0])),
        identity_scale=float(rng.choice([0.3, 1.0, 1.3])),
        strength=float(rng.choice([0.5, 0.85, 1.0])),
        scheduler=SCHEDULERS[number % len(SCHEDULERS)],  # type: ignore[arg-type]
        mode="fast" if number % 7 == 3 else "exact",
        size=None if fuses else SIZES[number % len(SIZES)],
        seed=number,
        verify=False,
    )


def _mixed(count: int) -> Figures:
    people = held_out_people(2 * FACES, FIRST_PERSON + 100)
    rng = np.random.default_rng(FIRST_PERSON + 100)
    photos = [snapshot(person, rng, 128).image for person in people]
    requests = [mixed(number, photos[:FACES], photos[FACES:]) for number in range(count)]
    settings = EngineSettings(capacity=count)
    with Engine.load("mini", settings=settings) as engine:
        handles = [engine.submit(request) for request in requests]
        together = [
            np.asarray(handle.result().images[0])
            for handle in track(handles, f"{count} mixed requests at once")
        ]
        pinned = engine.key_values.statistics().pinned_bytes
    decibels = []
    for request, ours in zip(
        track(requests, "each again, alone in a fresh engine"), together, strict=True
    ):
        with Engine.load("mini") as fresh:
            alone = np.asarray(fresh.fuse(request).images[0])
        decibels.append(min(psnr(ours, alone), MOST_DB))
    wrong = sum(value < 50 for value in decibels)
    Console().print(
        f"Of {count} mixed requests {wrong} differ from a fresh single run by less than 50 dB PSNR "
        f"(least {min(decibels):.1f} dB, {sum(v >= MOST_DB for v in decibels)} identical); "
        f"{pinned} bytes stay pinned.\n"
    )
    return {
        "mixed_requests": count,
        "mixed_wrong": wrong,
        "mixed_least_psnr_db": min(decibels),
        "mixed_identical": sum(value >= MOST_DB for value in decibels),
        "mixed_pinned_bytes": pinned,
    }


if __name__ == "__main__":
    main()
