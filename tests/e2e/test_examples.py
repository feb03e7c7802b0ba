"""The examples run as they stand."""

import runpy
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DRAWING = {"fuse_two_people.py"}


@pytest.mark.parametrize("name", sorted(file.name for file in EXAMPLES.glob("*.py")))
def test_an_example_does_what_it_says(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert "tokens" in capsys.readouterr().out
    pictures = list(tmp_path.glob("*.png"))
    assert bool(pictures) == (name in DRAWING)
    for picture in pictures:
        with Image.open(picture) as image:
            image.verify()


def test_few_tokens_shows_a_beginning_reused(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "few_tokens.py"), run_name="__main__")
    reused = [
        int(line.split(";")[1].split()[0])
        for line in capsys.readouterr().out.splitlines()
        if line.endswith("positions reused")
    ]
    assert reused[0] == 0
    assert reused[1] == 2 * 77  # the same again: nothing is computed
    assert 77 < reused[3] < 2 * 77  # the negative prompt, and the beginning
