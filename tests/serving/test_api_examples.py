"""The examples of the API run as they stand, each in a process of its own."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.serving.conftest import Running, jobs_ever, missing

FOLDER = Path(__file__).parents[2] / "examples" / "api"


def run(running: Running, where: Path, *command: str) -> str:
    """What an example says, from a folder of its own; it must end well."""
    done = subprocess.run(
        command, cwd=where, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "LIMNER_URL": running.url, "LIMNER_KEY": running.key},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def files(tmp_path: Path, photos: list[bytes]) -> list[str]:
    """Two photos as files."""
    names = ["a.png", "b.png"]
    for name, data in zip(names, photos, strict=False):
        (tmp_path / name).write_bytes(data)
    return names


def size_of(path: Path) -> tuple[int, int]:
    """Of a picture that can be read to its end."""
    with Image.open(path) as image:
        image.load()
        return image.size


def test_every_example_is_tried() -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_file()) == [
        "batch_from_csv.py",
        "curl.sh",
        "openai_sdk.py",
        "stream.py",
        "wishes.csv",
    ]


def test_the_openai_sdk(running_server: Running, tmp_path: Path, files: list[str]) -> None:
    said = run(running_server, tmp_path, sys.executable, str(FOLDER / "openai_sdk.py"), *files)
    assert "unknown_attribute" in said
    for name in ("generated-1.png", "generated-2.png", "edited.png", "fused.png", "streamed.png"):
        assert size_of(tmp_path / name)


def test_curl(running_server: Running, tmp_path: Path, files: list[str]) -> None:
    if shutil.which("curl") is None:
        missing("curl")
    said = run(running_server, tmp_path, "bash", str(FOLDER / "curl.sh"), *files)
    assert "event: portrait.completed" in said
    assert '"deleted":true' in said
    assert size_of(tmp_path / "generated.png") == (512, 512)
    for name in ("fused.png", "later.png"):
        assert size_of(tmp_path / name)


def test_a_stream(running_server: Running, tmp_path: Path, files: list[str]) -> None:
    said = run(running_server, tmp_path, sys.executable, str(FOLDER / "stream.py"), files[0])
    assert "portrait.png: similarity" in said
    assert len(list(tmp_path.glob("step-*.png"))) == 3


def test_a_batch_twice_costs_once(running_server: Running, tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "batch_from_csv.py"), str(FOLDER / "wishes.csv"), "out"]
    before = jobs_ever(running_server)
    run(running_server, tmp_path, *command)
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")}
    run(running_server, tmp_path, *command)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")} == first
    assert len(first) == 4
    assert jobs_ever(running_server) - before == 4
    with (tmp_path / "out" / "costs.csv").open(encoding="utf-8", newline="") as file:
        costs = list(csv.DictReader(file))
    assert all(int(one["tokens"]) < int(one["tokens in ordinary words"]) for one in costs)
