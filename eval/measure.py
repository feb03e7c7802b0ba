"""Measuring a bundle: every chapter of its card, in order, with what it looks like."""

import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from eval.bench import Bench, Extent
from eval.card import PAGE_FILE, Card, Chapter, Sample
from eval.page import render_card

if TYPE_CHECKING:
    import torch
    from rich.progress import Progress

    from models import Bundle


def measure_card(
    bundle: "Bundle | str | Path",
    out_dir: Path,
    quick: bool = False,
    progress: "Progress | None" = None,
    device: str = "auto",
    extent: Extent | None = None,
) -> Card:
    """Measure a bundle on held-out people; write card.json, card.md and sample sheets to out_dir.

    quick: a small sample, for a first impression; extent: how much exactly, over quick.
    progress: a running rich display to which bars are added.
    Raises JudgesNotFound for a bundle without judges, and what opening a bundle raises.
    """
    started = time.perf_counter()
    bench = open_bench(
        bundle, extent or (Extent.quick() if quick else Extent.full()), progress, device
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    chapters = measure_chapters(bench, out_dir)
    card = Card(
        bundle=bench.bundle.name,
        title=bench.bundle.manifest.title,
        digest=bench.bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        quick=quick,
        command=f"limner models card {bench.bundle.name} --measure" + (" --quick" if quick else ""),
        machine=machine(bench.components.device),
        seconds=time.perf_counter() - started,
        chapters=tuple(chapters),
    )
    card.write(out_dir)
    (out_dir / PAGE_FILE).write_text(render_card(card), encoding="utf-8")
    return card


def open_bench(
    bundle: "Bundle | str | Path",
    extent: Extent,
    progress: "Progress | None" = None,
    device: str = "auto",
) -> Bench:
    """Everything a measurement needs, loaded. The judges come first: without them nothing runs."""
    from eval.judges import open_judges
    from fusion import Engine
    from models import Bundle, FaceAnalyser, load_components, open_bundle

    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    judges = open_judges(opened)
    return Bench(
        bundle=opened,
        components=load_components(opened, device=device),
        engine=Engine.load(opened.directory, device=device),
        analyser=FaceAnalyser(opened),
        judges=judges,
        extent=extent,
        progress=progress,
    )


def measure_chapters(bench: Bench, out_dir: Path) -> list[Chapter]:
    """Every chapter, in the order in which a failure explains the ones after it."""
    from eval.cost import cost_chapter
    from eval.faces import measure_detector, measure_recogniser
    from eval.few_steps import few_steps_chapters
    from eval.insertions import insertions_chapter, run_insertions
    from eval.keeping import keeping_chapter
    from eval.mixtures import mixtures_chapter, run_mixtures
    from eval.parity import parity_chapter
    from eval.portraits import attributes_chapter, autoencoder_chapter, identity_chapter
    from eval.samples import (
        autoencoder_sheet,
        insertions_sheet,
        mixtures_sheet,
        trials_sheet,
        words_sheet,
    )
    from eval.trials import run_trials

    chapters = [cost_chapter(bench)]  # first: the caches of the machine are as cold as they will be
    chapters += [measure_recogniser(bench), measure_detector(bench)]
    trials = run_trials(bench)
    chapters.append(_with(autoencoder_chapter(trials), autoencoder_sheet(trials, out_dir)))
    chapters.append(
        _with(
            identity_chapter(bench, trials),
            words_sheet(bench, out_dir),
            trials_sheet(trials, out_dir),
        )
    )
    chapters.append(attributes_chapter(bench, trials))
    mixtures = run_mixtures(bench)
    chapters.append(_with(mixtures_chapter(mixtures), mixtures_sheet(mixtures, out_dir)))
    insertions = run_insertions(bench)
    chapters.append(
        _with(insertions_chapter(bench, insertions), insertions_sheet(insertions, out_dir))
    )
    chapters.append(keeping_chapter(bench, insertions))
    chapters += few_steps_chapters(bench, trials)
    chapters.append(parity_chapter(bench))
    return [*chapters[1:], chapters[0]]


def machine(device: "torch.device") -> str:
    """The machine in a few words: cores, device, versions of what computes."""
    import os
    from importlib.metadata import version

    import torch

    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return (
        f"{os.cpu_count()} cores, {where}, Python {platform.python_version()}, "
        f"torch {version('torch')}, diffusers {version('diffusers')}"
    )


def _with(chapter: Chapter, *samples: Sample) -> Chapter:
    return chapter.model_copy(update={"samples": samples})
