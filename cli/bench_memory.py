"""`limner bench memory`: what each memory mode costs and saves, each in a process of its own."""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.closeness import closeness
from cli.errors import MeasurementFailed, OptionRejected
from cli.options import BundleOption, JsonOption, examples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fusion import MemoryTrial

EXAMPLES = examples(
    ("limner bench memory", "high, normal and low on the mini bundle"),
    ("limner bench memory --size 1024 --size 2048", "with larger pictures to decode"),
    ("limner bench memory --memory low", "one mode, in this very process"),
)
PHOTO_SIZE = 256  # pixels
FIRST_PERSON = 7
_COMMAND = "import sys; from cli import run; sys.exit(run(sys.argv[1:]))"


@dataclass(frozen=True)
class Compared:
    """A mode, and how near its pictures are to those of `high`: dB, by the pictures' name."""

    trial: "MemoryTrial"
    psnr: dict[str, float]


def memory(
    size: Annotated[
        list[int] | None,
        typer.Option(help="Side in pixels of a picture to decode; may be repeated."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Portraits to draw at once.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps of each.")] = 10,
    bundle: BundleOption = "mini",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    mode: Annotated[
        str | None,
        typer.Option("--memory", metavar="MODE", help="One mode only: low, normal or high."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --memory: where its pictures go (.npz)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw portraits and decode larger pictures in each memory mode; tell peaks, seconds and PSNR.

    Each mode runs in a process of its own, for a process knows only its highest peak.
    """
    from cli.console import print_json, tracked
    from models import MEMORY_MODES, choose_device, memory_mode, open_bundle

    open_bundle(bundle)  # what is wrong is found before a process is begun
    choose_device(device)
    sizes = sorted(size or [512, 1024])
    if any(side < 64 or side % 8 for side in sizes):
        raise OptionRejected(f"--size takes multiples of 8 from 64, not {min(sizes)}")
    if mode is not None:
        chosen = memory_mode(mode)
        trial, pictures = _measure(chosen.name, bundle, device, count, steps, sizes)
        if keep is not None:
            _save(keep, pictures)
        if as_json:
            print_json(asdict(trial))
        else:
            _tell_one(trial)
        return
    options = ["--bundle", bundle, "--device", device, "--count", str(count), "--steps", str(steps)]
    options += [word for side in sizes for word in ("--size", str(side))]
    names = [each.name for each in MEMORY_MODES]
    with tempfile.TemporaryDirectory() as folder:
        found = [
            (_run(name, options, Path(folder)), Path(folder) / f"{name}.npz")
            for name in tracked(names, "measuring memory modes", len(names))
        ]
        compared = [_compare(one, file, found[0][1]) for one, file in found]
    if as_json:
        print_json(
            {
                "bundle": bundle,
                "steps": steps,
                "count": count,
                "modes": [asdict(one) for one in compared],
            }
        )
    else:
        _tell(compared, sizes)


def _run(name: str, options: list[str], folder: Path) -> "MemoryTrial":
    """A mode measured by a child of ours. Raises MeasurementFailed."""
    from fusion import MemoryTrial

    child = subprocess.run(
        [
            *(sys.executable, "-c", _COMMAND, "bench", "memory", "--memory", name, *options),
            *("--keep", str(folder / f"{name}.npz"), "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        said = child.stderr.strip().splitlines()
        why = said[-1].removeprefix("limner: ") if said else f"exit code {child.returncode}"
        raise MeasurementFailed(f"memory mode {name} was not measured: {why}")
    told = json.loads(child.stdout)
    return MemoryTrial(**{**told, "notes": tuple(told["notes"])})


def _measure(
    name: str, bundle: str, device: str, count: int, steps: int, sizes: list[int]
) -> "tuple[MemoryTrial, dict[str, NDArray[np.uint8]]]":
    """This process draws and decodes in a mode."""
    from cli.drawn import draw, new_people
    from fusion import BundleSource, FusionRequest, Identity, try_memory_mode
    from models import open_bundle

    source = BundleSource(open_bundle(bundle), device, memory=name)
    (person,) = (draw(seed, {}, PHOTO_SIZE) for seed in new_people(1, FIRST_PERSON))
    requests = [
        FusionRequest(
            identities=(Identity(image=person.picture),) if source.knows_identities else (),
            attributes={"age": 60, "glasses": True},
            steps=steps,
            seed=seed,
        )
        for seed in range(count)
    ]
    return try_memory_mode(source, requests, sizes)


def _save(file: Path, pictures: "dict[str, NDArray[np.uint8]]") -> None:
    import numpy as np

    with file.open("wb") as opened:
        np.savez(opened, allow_pickle=False, **pictures)


def _compare(trial: "MemoryTrial", file: Path, exact_file: Path) -> Compared:
    """A mode's pictures, as its process left them, against the first mode's."""
    import numpy as np

    with np.load(file) as pictures, np.load(exact_file) as exact:
        psnr = {name: closeness(pictures[name], exact[name]).psnr for name in pictures.files}
    return Compared(trial, psnr)


def _tell(compared: list[Compared], sizes: list[int]) -> None:
    from cli.console import say, table

    columns = ["mode", "drawing", "s", "PSNR"]
    columns += [text for side in sizes for text in (f"{side}²", "s", "PSNR")]
    table(columns, [_cells(one) for one in compared], title="MiB at most so far, seconds, dB")
    for one in compared:
        _tell_notes(one.trial)
    if any(one.trial.device_bytes for one in compared):
        for one in compared:
            say(f": {_mib(one.trial.device_bytes)} of the GPU at most", first=one.trial.mode)


def _cells(one: Compared) -> list[object]:
    """A row of the table: the most memory, seconds, and PSNR of each of its parts."""
    trial = one.trial
    parts = [("portraits", trial.drawn_bytes, trial.seconds_a_portrait)]
    parts += [
        (side, held, trial.decode_seconds[side]) for side, held in trial.decoded_bytes.items()
    ]
    cells: list[object] = [trial.mode]
    for name, held, seconds in parts:
        cells += [f"{held / 2**20:.0f}", f"{seconds:.2f}", f"{one.psnr[name]:.1f}"]
    return cells


def _tell_one(trial: "MemoryTrial") -> None:
    from cli.console import say

    say(
        f": {_mib(trial.drawn_bytes)} at most while drawing, "
        f"{trial.seconds_a_portrait:.2f} s a portrait",
        first=trial.mode,
    )
    for side, held in trial.decoded_bytes.items():
        say(f"  {side}² decoded: {_mib(held)} at most, {trial.decode_seconds[side]:.2f} s")
    _tell_notes(trial)


def _tell_notes(trial: "MemoryTrial") -> None:
    from cli.console import say

    say(f": {'; '.join(trial.notes) or 'nothing is done to save memory'}", first=trial.mode)


def _mib(held_bytes: int) -> str:
    return f"{held_bytes / 2**20:.0f} MiB"
