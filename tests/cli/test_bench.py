"""`limner bench precision` and `memory`: figures for everything this machine can, reasons else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli import bench_memory, run
from cli.bench_memory import Compared
from cli.bench_precision import Row, _verdict
from cli.closeness import MOST_DB, closeness
from cli.errors import MeasurementFailed
from fusion import MemoryTrial

Shown = pytest.CaptureFixture[str]


def test_every_precision_or_the_reason(tiny_bundle: Path, capsys: Shown) -> None:
    options = ["--bundle", str(tiny_bundle), "--device", "cpu", "--count", "1", "--steps", "1"]
    assert run(["bench", "precision", *options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {row["precision"]: row for row in told["precisions"]}
    assert list(rows) == ["fp32", "bf16", "fp16", "int8"]
    assert "on a CPU" in rows["fp16"]["refused"]
    assert rows["fp16"]["closeness"] is None
    assert rows["fp32"]["closeness"]["psnr"] == MOST_DB
    assert rows["bf16"]["weight_bytes"] < 0.6 * rows["fp32"]["weight_bytes"]
    # The tiny denoiser has no layer that is wide enough.
    assert rows["int8"]["weight_bytes"] == rows["fp32"]["weight_bytes"]
    for name in ("fp32", "bf16", "int8"):
        assert rows[name]["median_seconds"] > 0
        assert rows[name]["refused"] is None or name == "int8"


def test_a_precision_table(tiny_bundle: Path, capsys: Shown) -> None:
    options = ["--bundle", str(tiny_bundle), "--device", "cpu", "--count", "1", "--steps", "1"]
    assert run(["bench", "precision", *options]) == 0
    shown = capsys.readouterr()
    assert "bf16" in shown.out
    assert "fp16: precision fp16 is slow" in shown.out
    assert shown.err == ""


def test_the_verdict_names_what_pays() -> None:
    exact = Row("fp32", median_seconds=1.0, fastest_seconds=1.0)
    even = replace(exact, precision="bf16", fastest_seconds=0.95)
    quick = replace(exact, precision="int8", fastest_seconds=0.5)
    assert "nothing" in _verdict([exact, even])
    assert _verdict([exact, even, quick]).endswith(": int8")
    assert "nothing" in _verdict([exact, replace(quick, refused="it blurs")])


def test_one_mode_in_this_process(tiny_bundle: Path, tmp_path: Path, capsys: Shown) -> None:
    options = ["--bundle", str(tiny_bundle), "--count", "2", "--steps", "1", "--size", "64"]
    file = tmp_path / "low.npz"
    told = ["--memory", "low", "--device", "cpu", "--keep", str(file), "--json"]
    assert run(["bench", "memory", *options, *told]) == 0
    trial = json.loads(capsys.readouterr().out)
    assert trial["mode"] == "low"
    assert 0 < trial["loaded_bytes"] <= trial["drawn_bytes"] <= trial["decoded_bytes"]["64"]
    with np.load(file) as pictures:
        assert pictures["portraits"].shape == (2, 128, 128, 3)
        assert pictures["64"].shape == (1, 64, 64, 3)
    assert run(["bench", "memory", *options, "--memory", "low", "--device", "cpu"]) == 0
    assert "nothing was moved" in capsys.readouterr().out


def test_the_modes_side_by_side(
    tiny_bundle: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them in a process of its own, as all are; the others without that time."""
    really = bench_memory._run

    def measure(name: str, options: list[str], folder: Path) -> MemoryTrial:
        if name == "normal":
            return really(name, options, folder)
        trial, pictures = bench_memory._measure(name, str(tiny_bundle), "cpu", 1, 1, [64])
        bench_memory._save(folder / f"{name}.npz", pictures)
        return trial

    monkeypatch.setattr(bench_memory, "_run", measure)
    options = ["--bundle", str(tiny_bundle), "--device", "cpu", "--count", "1", "--steps", "1"]
    assert run(["bench", "memory", *options, "--size", "64", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["trial"]["mode"] for each in told["modes"]] == ["high", "normal", "low"]
    assert told["modes"][0]["psnr"] == {"portraits": MOST_DB, "64": MOST_DB}
    assert all(each["psnr"]["portraits"] >= 60 for each in told["modes"])
    monkeypatch.setattr(
        bench_memory, "_run", lambda *given: MemoryTrial(**told["modes"][0]["trial"])
    )
    monkeypatch.setattr(bench_memory, "_compare", lambda trial, *_: Compared(trial, _ALIKE))
    assert run(["bench", "memory", *options, "--size", "64"]) == 0
    assert "64²" in capsys.readouterr().out


_ALIKE = {"portraits": MOST_DB, "64": MOST_DB}


def test_a_mode_whose_process_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_memory, "_COMMAND", "raise SystemExit('limner: no room')")
    with pytest.raises(MeasurementFailed, match="memory mode low was not measured: no room"):
        bench_memory._run("low", [], tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["memory", "--memory", "tiny"], "give one of low, normal, high"),
        (["memory", "--size", "100"], "multiples of 8"),
        (["memory", "--bundle", "nobody"], "nobody"),
        (["precision", "--bundle", "nobody"], "nobody"),
        (["precision", "--device", "abacus"], "abacus"),
        (["speed"], "speed"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: Shown) -> None:
    assert run(["bench", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err.splitlines()[-1]


def test_closeness_of_pictures() -> None:
    rng = np.random.default_rng(0)
    exact = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(2)]
    same = closeness(exact, exact)
    assert (same.psnr, same.least_psnr, same.most_levels) == (MOST_DB, MOST_DB, 0)
    assert same.ssim == pytest.approx(1)
    off = [exact[0], np.where(exact[1] < 250, exact[1] + 5, exact[1] - 5).astype(np.uint8)]
    near = closeness(off, exact)
    assert near.most_levels == 5
    assert near.least_psnr == pytest.approx(20 * np.log10(255 / 5))
    assert near.psnr == pytest.approx(near.least_psnr + 10 * np.log10(2))
    assert 0.9 < near.ssim < 1
