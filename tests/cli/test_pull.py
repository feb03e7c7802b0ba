"""`limner models pull` and what belongs to it: what is shown, asked, refused and left behind."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import run
from models import read_source
from tests.models.pulling.hub import Hub, serving
from tests.models.pulling.public import UNET, publish

Shown = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(monkeypatch) as hub:
        monkeypatch.setattr("time.sleep", lambda _: None)
        yield hub


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMNER_BUNDLES", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def mine(hub: Hub, shelf: Path, tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle's description as somebody would write it."""
    file = tmp_path / "public.toml"
    file.write_text(publish(tiny_bundle, hub), encoding="utf-8")
    return file


def rows(capsys: Shown) -> dict[str, dict[str, str]]:
    assert run(["models", "list", "--json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_it_shows_what_will_come_and_leaves_the_bundle(
    mine: Path, shelf: Path, capsys: Shown
) -> None:
    assert run(["models", "pull", str(mine), "--accept-licences"]) == 0
    shown = capsys.readouterr()
    for words in ("unet/diffusion", "MiB", "Apache-2.0", "Research only", "No commercial use."):
        assert words in shown.err
    assert "limner fuse --bundle public" in shown.out
    assert run(["models", "verify", "public"]) == 0
    assert run(["models", "pull", str(mine), "--json"]) == 0, "here already: nothing is asked"
    capsys.readouterr()
    assert rows(capsys)["public"]["where"] == str(shelf / "public")


def test_without_a_terminal_nothing_is_accepted(
    mine: Path, hub: Hub, shelf: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    assert run(["models", "pull", str(mine)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("limner: ")
    assert "--accept-licences" in last
    assert not shelf.exists()
    assert hub.gets("") == []


@pytest.mark.parametrize(("answer", "code"), [("n", 2), ("y", 0)])
def test_at_a_terminal_it_asks(mine: Path, shelf: Path, answer: str, code: int) -> None:
    leader, follower = pty.openpty()
    command = "import sys; from cli import run; sys.exit(run(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", command, "models", "pull", str(mine)],
        cwd=ROOT, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.write(leader, f"{answer}\n".encode())
        _, errors = process.communicate(timeout=60)
    os.close(leader)
    os.close(follower)
    assert process.returncode == code, errors
    assert b"Accept these licences" in errors
    assert (shelf / "public").exists() is (answer == "y")
    assert (b"not accepted, so nothing" in errors) is (answer == "n")


def test_a_failure_is_one_line_and_the_same_command_goes_on(
    mine: Path, hub: Hub, capsys: Shown
) -> None:
    hub.cuts[UNET] = [10_000, 0, 0, 0, 0, 0]
    command = ["models", "pull", str(mine), "--accept-licences"]
    assert run(command) == 2
    assert "goes on from there" in capsys.readouterr().err.splitlines()[-1]
    hub.cuts.clear()
    assert run(command) == 0
    assert "that came earlier" in capsys.readouterr().err
    assert hub.gets("unet/diffusion")[-1].range == "bytes=10000-"


def test_stopped_by_hand_it_says_what_is_kept(
    mine: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("models.pulling.download.download", stopped)
    monkeypatch.setattr("models.pulling.pull.download", stopped)
    assert run(["models", "pull", str(mine), "--accept-licences"]) == 2
    assert "stopped; what came of public is kept" in capsys.readouterr().err.splitlines()[-1]


def test_public_bundles_are_listed_with_the_command_that_fetches_them(
    shelf: Path, capsys: Shown
) -> None:
    listed = rows(capsys)
    assert listed["mini"]["state"] == "complete"
    assert listed["sd15-faceid"]["state"] == "not here: limner models pull sd15-faceid"
    assert float(listed["sd15-faceid"]["MiB"]) > 2000
    assert listed["sdxl-faceid"]["licence"]
    (shelf / ".sd15-faceid.pulling" / "tree").mkdir(parents=True)
    assert rows(capsys)["sd15-faceid"]["state"].startswith("begun: ")
    assert run(["models", "list"]) == 0
    assert "mini lies in " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["sd15-faceid-fast", "mini"])
def test_what_a_bundle_is_made_of_is_shown(name: str, shelf: Path, capsys: Shown) -> None:
    assert run(["models", "show", name]) == 0
    assert name in capsys.readouterr().out
    assert run(["models", "show", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == name
    assert "pipeline" in [part["name"] for part in told["component"]]
    if name != "mini":
        assert told["extends"] == "sd15-faceid"
        assert all(licence["allows"] for licence in told["licences"])


def test_removing_needs_a_yes(mine: Path, shelf: Path, capsys: Shown) -> None:
    assert run(["models", "pull", str(mine), "--accept-licences"]) == 0
    assert run(["models", "remove", "public"]) == 2
    assert "--yes" in capsys.readouterr().err.splitlines()[-1]
    assert run(["models", "remove", "public", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == [str(shelf / "public")]
    for name, said in (("public", "no bundle"), ("mini", "part of limner")):
        assert run(["models", "remove", name, "--yes"]) == 2
        assert said in capsys.readouterr().err


def test_what_is_verified_is_told_to_programs_too(shelf: Path, capsys: Shown) -> None:
    assert run(["models", "verify", "mini", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["name"] == "mini"
    assert told["files"] > 10
    assert run(["models", "verify", "sd15-faceid"]) == 2
    assert "limner models pull sd15-faceid" in capsys.readouterr().err


def test_the_example_is_a_description(tmp_path: Path, capsys: Shown) -> None:
    assert run(["models", "example"]) == 0
    (tmp_path / "my.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert read_source(tmp_path / "my.toml").base is not None
    assert run(["models", "show", str(tmp_path / "my.toml")]) == 0
