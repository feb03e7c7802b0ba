"""What the README shows can be typed, and both languages show the same."""

import re
from pathlib import Path

import pytest

from cli import run

ROOT = Path(__file__).resolve().parents[2]


def _commands(name: str) -> list[str]:
    """Every line that starts with the command, without the remark behind it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = re.findall(r"^ {4}(limner .*)$", text, flags=re.MULTILINE)
    return [line.partition("#")[0].strip() for line in lines]


@pytest.mark.parametrize("line", _commands("README.md"))
def test_every_command_and_option_exists(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = line.split()[1:]
    grouped = words[0] in {"models", "cache", "costs"} and words[1:2] and words[1][0] != "-"
    command = words[:2] if grouped else words[:1]
    assert run([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(^|\s|│){re.escape(option)}\b", shown), option


def test_both_languages_show_the_same_commands() -> None:
    assert _commands("README.md") == _commands("README.zh-CN.md")


def test_every_file_the_readme_links_to_exists() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (ROOT / target).exists(), f"{name}: {target}"


def test_the_figures_are_those_of_the_bundles_card(mini_bundle: Path) -> None:
    from eval import read_card, render_bars

    bars = render_bars(read_card(mini_bundle))
    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        shown = re.search(r"<!-- FIGURES[^>]*-->\n(.*?)\n<!-- /FIGURES -->", text, re.DOTALL)
        assert shown is not None
        assert shown[1] == bars, f"{name}: fill the block with eval.render_bars"
