"""`--help` teaches, and costs nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli import run

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    (), ("fuse",), ("people",), ("faces",), ("prompt",), ("train-mini",), ("bench",), ("demo",),
    ("bench", "precision"), ("bench", "memory"),
    ("models",), ("models", "list"), ("models", "verify"), ("models", "card"),
    ("models", "pull"), ("models", "show"), ("models", "remove"), ("models", "example"),
    ("cache",), ("cache", "warm"), ("cache", "stats"), ("cache", "save"),
    ("ab",), ("ab", "run"), ("ab", "report"), ("ab", "aa"), ("ab", "suites"), ("ab", "example"),
    ("costs",), ("costs", "verify"), ("costs", "show"), ("costs", "correct"), ("costs", "plan"),
    ("costs", "prices"), ("costs", "elsewhere"),
    ("serve",), ("keys",), ("keys", "add"), ("keys", "list"), ("keys", "revoke"),
)  # fmt: skip
HEAVY = (
    "torch", "diffusers", "transformers", "onnxruntime", "onnx", "insightface", "cv2", "scipy",
    "numpy", "PIL", "pydantic", "httpx",
    "huggingface_hub",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_page_says_what_it_does(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--help"]) == 0
    shown = capsys.readouterr()
    assert "Usage: limner" in shown.out
    assert shown.err == ""
    if command not in {("models",), ("cache",), ("keys",)}:
        assert "Examples" in shown.out
        assert len(re.findall(r"^ +limner ", shown.out, flags=re.MULTILINE)) >= 1


def test_help_loads_nothing_heavy() -> None:
    """Counted in modules, for seconds depend on the machine; benchmarks/help.py has those."""
    code = (
        "import sys\nfrom cli import run\nassert run(['fuse', '--help']) == 0\n"
        f"print(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(result.stderr.split()) - {"pydantic"}  # typer itself stands on pydantic
    assert not loaded


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "fuse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "nope"),
        (["fuse", "--bad"], "--bad"),
        (["people", "none"], "COUNT"),
        (["people", "0"], "COUNT"),
        (["faces"], "PHOTO"),
        (["fuse", "--seed", "x", "-i", "a.png"], "--seed"),
        (["fuse", "--count", "17", "-i", "a.png"], "--count"),
        (["people", "--size", "1025"], "--size"),
        (["train-mini", "--device", "banana"], "banana"),
    ],
)
def test_a_mistyped_command_is_told_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("limner: ")
    assert said in shown.err


def test_limits_in_help_pages_are_those_of_the_packages_below() -> None:
    from cli import fuse, options, people
    from fusion import resolved
    from world import renderer

    assert people.LARGEST_SIDE == renderer.LARGEST_SIDE
    assert fuse.MOST_PICTURES == resolved.MAX_PICTURES
    assert options.LARGEST_WEIGHT == resolved.MAX_WEIGHT
