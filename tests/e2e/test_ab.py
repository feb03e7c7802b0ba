"""A/B runs on the bundle that ships: killed and gone on with; harms found, equals left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cli.ab import exit_code
from eval.ab.config import parse_config
from eval.ab.journal import JOURNAL_FILE, Journal
from eval.ab.null import null_ab
from eval.ab.results import Result, Verdict, read_result
from eval.ab.run import run_ab

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).resolve().parent.parent.parent
LIMNER = [sys.executable, "-c", "import sys; from cli import run; sys.exit(run(sys.argv[1:]))"]


def _write(folder: Path, text: str, people: int = 24) -> Path:
    suite = f'title = "x"\n[drawn]\npeople = {people}\nfirst = 700000\n'
    (folder / "suite.toml").write_text(suite, encoding="utf-8")
    file = folder / "ab.toml"
    file.write_text('suite = "suite.toml"\nblock = 6\n' + text, encoding="utf-8")
    return file


def _run(folder: Path, text: str, people: int = 24) -> Result:
    file = _write(folder, text, people)
    read = parse_config(file.read_text(encoding="utf-8"), "ab.toml", folder, "ab")
    return run_ab(read, folder / "run")


def test_kill_9_in_the_middle_and_again_gives_the_same_result(tmp_path: Path) -> None:
    text = "[arms.twenty]\nsteps = 6\n[arms.four]\nsteps = 3\n"
    (tmp_path / "whole").mkdir()
    whole = _run(tmp_path / "whole", text, 8)
    file = _write(tmp_path, text, 8)
    command = [*LIMNER, "ab", str(file), "-o", str(tmp_path / "run")]
    journal = tmp_path / "run" / JOURNAL_FILE
    for least in (3, 10):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b'"drawn"') >= least:
                break
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert 10 <= len(Journal.read(tmp_path / "run").drawn) < 16
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == exit_code(whole), finished.stderr
    again = read_result(tmp_path / "run")
    assert again.state == "complete"
    drawn = journal.read_text(encoding="utf-8")
    assert drawn.count('"kind":"drawn"') == drawn.count('"kind":"judged"') == 16
    for one in whole.comparisons:
        other = again.comparison(one.arm, one.metric)
        if whole.metric(one.metric).unit != "s":  # the machine's business
            assert other.verdict is one.verdict, one.metric
            assert other.mean == pytest.approx(one.mean, abs=2e-3), one.metric
            assert (other.wins, other.losses) == (one.wins, one.losses), one.metric


def test_cache_and_batch_are_called_not_worse(tmp_path: Path) -> None:
    """Equals: what is remembered and who is drawn together must not be seen in a picture."""
    text = (
        "[arms.usual]\nsteps = 8\n[arms.uncached]\nsteps = 8\ncache = false\n"
        "[arms.alone]\nsteps = 8\nlargest_batch = 1\n"
        "[gate.not_worse]\npsnr = 50\nidentity = 0.01\nattributes = 0.02\n"
    )
    result = _run(tmp_path, text, 14)
    assert [one.verdict for one in result.overall] == [Verdict.NOT_WORSE, Verdict.NOT_WORSE]
    for arm in ("uncached", "alone"):
        assert result.comparison(arm, "psnr").low >= 50
    assert result.comparison("uncached", "positions_computed").verdict is Verdict.WORSE


def test_a_faint_identity_is_called_worse_on_identity_and_on_nothing_asked(tmp_path: Path) -> None:
    text = (
        "[arms.full]\nsteps = 8\n[arms.faint]\nsteps = 8\nidentity_scale = 0.3\n"
        "[gate.not_worse]\nidentity = 0.01\nattributes = 0.05\n"
    )
    result = _run(tmp_path, text)
    assert result.comparison("faint", "identity").verdict is Verdict.WORSE
    assert result.comparison("faint", "attributes").verdict is not Verdict.WORSE
    assert result.overall[0].why.startswith("worse on identity;")  # then what is outside the gate


def test_glasses_that_nobody_says_are_missed_as_glasses(tmp_path: Path) -> None:
    text = (
        "[arms.said]\nsteps = 8\n[arms.unsaid]\nsteps = 8\nleave_out = ['glasses']\n"
        "[gate.not_worse]\nattributes = 0.02\n"
    )
    result = _run(tmp_path, text)
    assert result.comparison("unsaid", "attributes").mean < -0.01
    worse = [c.metric for c in result.comparisons if c.verdict is Verdict.WORSE]
    assert [key for key in worse if key.startswith("attributes.")] == ["attributes.glasses"]


def test_the_same_arm_twice_is_drawn_with_other_noise_and_finds_nothing(tmp_path: Path) -> None:
    """Two small runs are too few for a rate; those simulated from them are enough."""
    (tmp_path / "arm.toml").write_text(
        "[arms.a]\nsteps = 3\n[arms.b]\nsteps = 4\n", encoding="utf-8"
    )
    found = null_ab(tmp_path / "arm.toml", tmp_path / "aa", runs=2, people=12, simulated=60)
    assert found.arm == {"steps": "3"}
    assert [line.runs for line in found.lines] == [2, 2, 1, 60, 60]
    assert all(line.found <= 3 for line in found.lines[3:]), found.lines
    pictures = [
        np.asarray(Journal.read(tmp_path / "aa/run-00").picture((0, arm)))
        for arm in ("one", "the same, other noise")
    ]
    assert not np.array_equal(*pictures)  # the same twice would find nothing by itself
