"""What is given up for speed: fast mode, and steps that fit, against what they stand for.

People nobody trained on, the same wishes and seeds in every arm. PSNR is against the exact drawing
(of 20 steps for fast mode, of 120 for steps); identity is the judge's cosine with another photo of
the person, attributes the judge's balanced accuracy, by judges that never condition a picture.

    python benchmarks/approximations.py [--people 48] [--part fast|steps|all]
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from _machine import Figures, record
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from eval.judges import Judges, open_judges
from eval.metrics import MOST_DB, balanced_accuracy, bootstrap, psnr
from eval.people import Photo, Wish, balanced_wishes, held_out_people, snapshot
from fusion import Engine, EngineSettings, FastSettings, FusionRequest, FusionResult, Identity
from models import FaceAnalyser, open_bundle
from world import LABELS

FIRST_PERSON = 96_000  # of the held-out seeds
STEPS = 20
FAST = {
    "deep features every 3rd step, the default": FastSettings(),
    "deep features every 2nd step": FastSettings(interval=2),
    "guidance in the first 60 % only": FastSettings(interval=1, guided_until=0.6),
    "guidance in the first 80 % only": FastSettings(interval=1, guided_until=0.8),
    "both: every 3rd, first 80 %": FastSettings(guided_until=0.8),
}
Pictures = list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Cases:
    """People, a photo of each, another one to compare with, and what each portrait should show."""

    photos: Sequence[Photo]
    others: Sequence[Photo]
    wishes: Sequence[Wish]
    targets: Sequence[Photo]

    @classmethod
    def of(cls, count: int) -> "Cases":
        people = held_out_people(count, FIRST_PERSON)
        rng = np.random.default_rng(FIRST_PERSON)
        return cls(
            photos=[snapshot(person, rng) for person in people],
            others=[snapshot(person, rng) for person in people],
            wishes=balanced_wishes(people, FIRST_PERSON),
            targets=[snapshot(person, rng, 128) for person in held_out_people(count, 97_000)],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--part", choices=("fast", "steps", "all"), default="all")
    given = parser.parse_args()
    cases = Cases.of(given.people)
    if given.part != "steps":
        record("fast", _fast(cases))
    if given.part != "fast":
        record("steps", _steps(cases))


def _drawn(
    make: Callable[[int], FusionRequest], count: int, fast: FastSettings | None = None
) -> tuple[list[FusionResult], float]:
    """The results, all at once, and seconds a picture: the better of two rounds."""
    settings = EngineSettings(capacity=count, fast=fast or FastSettings())
    seconds = []
    with Engine.load("mini", settings=settings) as engine:
        for _ in range(2):
            started = time.perf_counter()
            results = list(engine.fuse_all(make(index) for index in range(count)))
            seconds.append((time.perf_counter() - started) / count)
    return results, min(seconds)


def _pictures(results: Sequence[FusionResult]) -> Pictures:
    return [np.asarray(result.images[0]) for result in results]


def _denoising(results: Sequence[FusionResult]) -> float:
    """Seconds of the denoiser for all of them, in the batches they shared."""
    return sum(result.usage.denoiser_seconds for result in results)


def _fast(cases: Cases) -> Figures:
    count = len(cases.photos)
    bundle = open_bundle("mini")
    judges, analyser = open_judges(bundle), FaceAnalyser(bundle)

    def request(mode: str) -> Callable[[int], FusionRequest]:
        return lambda index: FusionRequest.model_validate(
            {
                "identities": (Identity(image=cases.photos[index].image),),
                "attributes": cases.wishes[index].attributes,
                "steps": STEPS,
                "seed": index,
                "verify": False,
                "mode": mode,
            }
        )

    exact, exact_seconds = _drawn(request("exact"), count)
    reference = _pictures(exact)
    likeness, obeyed = _judged(cases, reference, judges, analyser)
    table = Table(title=f"Fast mode, {count} portraits of {STEPS} steps", title_justify="left")
    for heading in ("", "times faster (the denoiser)", "PSNR to exact", "identity", "attributes"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("exact", "1.00", "", f"{likeness.mean():.3f}", f"{obeyed(np.arange(count)):.1%}")
    figures: Figures = {
        "people": count,
        "exact_identity": float(likeness.mean()),
        "exact_attributes": obeyed(np.arange(count)),
    }
    for name, settings in FAST.items():
        results, seconds = _drawn(request("fast"), count, settings)
        pictures = _pictures(results)
        decibels = [min(psnr(a, b), MOST_DB) for a, b in zip(reference, pictures, strict=True)]
        alike, kept = _judged(cases, pictures, judges, analyser)
        low, high = bootstrap(lambda i, a=alike: float((a - likeness)[i].mean()), count)
        worse, better = bootstrap(lambda i, k=kept: k(i) - obeyed(i), count, resamples=500)
        everyone = np.arange(count)
        change = float((alike - likeness).mean())
        points = 100 * (kept(everyone) - obeyed(everyone))
        table.add_row(
            name,
            f"{exact_seconds / seconds:.2f} ({_denoising(exact) / _denoising(results):.2f})",
            f"{np.mean(decibels):.1f} dB",
            f"{change:+.3f} ({low:+.3f} – {high:+.3f})",
            f"{points:+.1f} ({100 * worse:+.1f} – {100 * better:+.1f})",
        )
        key = name.translate(str.maketrans(" ", "_", ",:%")).replace("__", "_")
        figures |= {
            f"{key}_times_faster": exact_seconds / seconds,
            f"{key}_denoiser_times_faster": _denoising(exact) / _denoising(results),
            f"{key}_psnr_db": float(np.mean(decibels)),
            f"{key}_identity_change": change,
            f"{key}_identity_change_low": low,
            f"{key}_attribute_points": points,
            f"{key}_attribute_points_low": 100 * worse,
        }
    Console().print(table)
    return figures


def _judged(
    cases: Cases, pictures: Pictures, judges: Judges, analyser: FaceAnalyser
) -> tuple[NDArray[np.float64], Callable[[NDArray[np.integer]], float]]:
    """Cosine with another photo of the person, and attributes obeyed by some of the people."""
    found = [analyser.analyse(picture) for picture in pictures]
    seen = np.zeros((len(pictures), 512), np.float32)
    there = [index for index, faces in enumerate(found) if faces]
    landmarks = [max(found[index], key=lambda face: face.size).landmarks for index in there]
    seen[there] = judges.recogniser.embed([pictures[index] for index in there], landmarks)
    own = judges.recogniser.embed(
        [photo.image for photo in cases.others], [photo.landmarks for photo in cases.others]
    )
    said = judges.attributes.judge(pictures)

    def obeyed(chosen: NDArray[np.integer]) -> float:
        scores = []
        for head, classes in LABELS.items():
            shown = [int(i) for i in chosen if cases.wishes[int(i)].labels[head] is not None]
            truth = [classes.index(str(cases.wishes[i].labels[head])) for i in shown]
            scores.append(
                balanced_accuracy(
                    np.array(truth), np.array([classes.index(said[i][head]) for i in shown])
                )
            )
        return float(np.mean(scores))

    return np.sum(seen * own, axis=1).astype(np.float64), obeyed


def _steps(cases: Cases) -> Figures:
    """How near each number of steps comes to 120, for requests of every kind."""
    count = len(cases.photos)
    kinds: dict[str, Callable[[int], dict[str, object]]] = {
        "one word": lambda i: {"attributes": dict([*cases.wishes[i].attributes.items()][:1])},
        "six attributes": lambda i: {"attributes": dict([*cases.wishes[i].attributes.items()][:6])},
        "all attributes": lambda i: {"attributes": cases.wishes[i].attributes},
        "a target, strength 0.3": lambda i: _onto(cases, i, 0.3),
        "a target, strength 0.6": lambda i: _onto(cases, i, 0.6),
        "a target, strength 1": lambda i: _onto(cases, i, 1.0),
    }
    arms: tuple[int | str, ...] = (15, 20, 30, "auto")
    table = Table(title=f"PSNR to 120 steps, {count} requests each", title_justify="left")
    for heading in ("", *(str(arm) for arm in arms), "steps taken"):
        table.add_column(heading, justify="right" if heading else "left")
    figures: Figures = {"requests_of_each_kind": count}
    all_decibels: dict[int | str, list[float]] = {arm: [] for arm in arms}
    all_steps: list[int] = []
    for kind, wish in kinds.items():

        def request(index: int, steps: int | str, wish: object = wish) -> FusionRequest:
            return FusionRequest.model_validate(
                {
                    "identities": (Identity(image=cases.photos[index].image),),
                    "steps": steps,
                    "seed": index,
                    "verify": False,
                    **wish(index),  # type: ignore[operator]
                }
            )

        reference = _pictures(_drawn(lambda i: request(i, 120), count)[0])
        row, key = [], kind.replace(",", "").replace(" ", "_")
        for arm in arms:
            results, _ = _drawn(lambda i, a=arm: request(i, a), count)
            decibels = [
                min(psnr(a, b), MOST_DB) for a, b in zip(reference, _pictures(results), strict=True)
            ]
            all_decibels[arm] += decibels
            row.append(f"{np.mean(decibels):.1f}")
            figures[f"{key}_{arm}_psnr_db"] = float(np.mean(decibels))
        taken = [result.request.steps for result in results]
        all_steps += taken
        figures[f"{key}_auto_steps"] = float(np.mean(taken))
        table.add_row(kind, *row, f"{np.mean(taken):.1f}")
    for arm in arms:
        figures[f"all_{arm}_psnr_db"] = float(np.mean(all_decibels[arm]))
        figures[f"all_{arm}_psnr_db_worst_tenth"] = float(np.percentile(all_decibels[arm], 10))
    figures["all_auto_steps"] = float(np.mean(all_steps))
    means = [f"{np.mean(all_decibels[arm]):.1f}" for arm in arms]
    worst = [f"{np.percentile(all_decibels[arm], 10):.1f}" for arm in arms]
    table.add_section()
    table.add_row("all of them", *means, f"{np.mean(all_steps):.1f}")
    table.add_row("their worst tenth", *worst, "")
    Console().print(table)
    return figures


def _onto(cases: Cases, index: int, strength: float) -> dict[str, object]:
    said = dict([*cases.wishes[index].attributes.items()][:3])
    return {"attributes": said, "target": cases.targets[index].image, "strength": strength}


if __name__ == "__main__":
    main()
