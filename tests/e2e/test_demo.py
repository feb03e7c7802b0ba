"""The demo: one sheet, every picture beside it, and a plain account on the terminal."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import run


def test_the_demo_leaves_a_sheet_and_tells_what_it_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", "-o", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    for words in (
        "similarity", "attributes obeyed", "tokens", "denoise", "memory", "Try next", "demo.png",
    ):  # fmt: skip
        assert words in told
    out = tmp_path / "out"
    assert len(list((out / "people").glob("*.png"))) == 6
    results = [file for file in out.glob("*.png") if file.name != "demo.png"]
    assert len(results) == 17
    with Image.open(out / "demo.png") as sheet:
        assert min(sheet.size) > 1000
        assert np.asarray(sheet.convert("L")).std() > 20, "there are pictures on it"


def test_a_demo_that_cannot_be_written_says_so_before_drawing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").touch()
    assert run(["demo", "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
