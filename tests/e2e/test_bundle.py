"""The bundle that ships: complete, verified, with its card; a broken one is refused in one line."""

import json
import shutil
from pathlib import Path

import pytest

from cli import run

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def copied(mini_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle to be broken."""
    return Path(shutil.copytree(mini_bundle, tmp_path / "copied"))


def _refused(bundle: Path, photo: Path, capsys: Shown, *said: str) -> None:
    output = bundle.parent / "out.png"
    assert run(["fuse", "-i", str(photo), "--bundle", str(bundle), "-o", str(output)]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    for words in said:
        assert words in shown.err
    assert not output.exists()


def test_it_is_listed_complete_and_every_digest_holds(capsys: Shown) -> None:
    assert run(["models", "list", "--json"]) == 0
    (row,) = (row for row in json.loads(capsys.readouterr().out) if row["name"] == "mini")
    assert row["state"] == "complete"
    assert float(row["MiB"]) <= 24
    assert run(["models", "verify", "mini"]) == 0


def test_its_card_is_shown_and_can_be_read_by_a_program(capsys: Shown) -> None:
    assert run(["models", "card", "mini"]) == 0
    assert "measured" in capsys.readouterr().out
    assert run(["models", "card", "mini", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bundle"] == "mini"


def test_the_card_is_that_of_the_files_it_lies_beside(mini_bundle: Path) -> None:
    from eval import read_card
    from models import open_bundle

    assert read_card(mini_bundle).digest == open_bundle("mini").digest


def test_a_missing_file_is_named(copied: Path, photos: list[Path], capsys: Shown) -> None:
    lost = next((copied / "pipeline" / "unet").glob("*.safetensors"))
    lost.unlink()
    _refused(copied, photos[0], capsys, lost.name, "missing")


def test_a_truncated_file_is_named(copied: Path, photos: list[Path], capsys: Shown) -> None:
    cut = next((copied / "pipeline" / "vae").glob("*.safetensors"))
    cut.write_bytes(cut.read_bytes()[:-100])
    _refused(copied, photos[0], capsys, cut.name, "bytes")


def test_a_changed_byte_is_found_by_verify(copied: Path, capsys: Shown) -> None:
    changed = next((copied / "faces").glob("*.onnx"))
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    assert run(["models", "verify", str(copied)]) == 2
    shown = capsys.readouterr()
    assert changed.name in shown.err
    assert shown.err.count("\n") == 1


def test_a_manifest_that_makes_no_sense_is_refused(
    copied: Path, photos: list[Path], capsys: Shown
) -> None:
    (copied / "bundle.toml").write_text("schema = 99\n")
    _refused(copied, photos[0], capsys, "bundle.toml")
