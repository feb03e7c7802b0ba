"""A whole run on a bundle of random weights: resumed, refused, changed, looked at."""

import json
from pathlib import Path

import pytest
from PIL import Image

from eval.ab.config import ReadConfig, parse_config
from eval.ab.errors import JournalInvalid, MetricUnavailable, RunDiffers
from eval.ab.journal import JOURNAL_FILE, Journal
from eval.ab.memory import measure_memory
from eval.ab.plan import plan_of
from eval.ab.results import Result, ResultInvalid, ResultNotFound, Verdict, read_result
from eval.ab.run import Listener, report_ab, run_ab

SUITE = 'title = "x"\n[drawn]\npeople = 14\n'
ARMS = "[arms.two]\nsteps = 2\n[arms.one]\nsteps = 1\n"
GATE = "[gate.not_worse]\nidentity = 0.01\n"


def _read(folder: Path, bundle: Path, text: str = "", gate: str = GATE) -> ReadConfig:
    (folder / "suite.toml").write_text(SUITE, encoding="utf-8")
    head = f'suite = "suite.toml"\nbundle = "{bundle}"\nblock = 5\n'
    return parse_config(head + text + ARMS + gate, "ab.toml", folder, "few")


class Interrupted(Exception):
    """Raised in the middle of a run, as a Ctrl-C would be."""


def _stopped(after: int) -> Listener:
    def drawn(done: int, total: int) -> None:
        if done >= after:
            raise Interrupted

    return Listener(drawn=drawn)


def _quality(result: Result) -> dict[str, object]:
    """All that is not time; to three digits, for batches round as they are composed."""
    return {
        f"{c.arm} {c.metric}": (c.verdict, round(c.mean, 3), c.units, c.p)
        for c in result.comparisons
        if result.metric(c.metric).unit != "s"
    }


@pytest.fixture(scope="module")
def whole(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("ab")
    return run_ab(_read(folder, tiny_bundle), folder / "run"), folder


def test_a_run_leaves_result_report_pictures_and_config(whole: tuple[Result, Path]) -> None:
    result, folder = whole
    assert result.state == "complete"
    assert result.cases_done == 14
    assert read_result(folder / "run") == result
    assert (folder / "run/report.html").stat().st_size > 20_000
    assert (folder / "run/config.toml").read_text(encoding="utf-8") == result.config
    found = result.comparison("one", "evaluations")
    assert found.verdict is Verdict.BETTER
    assert found.mean < 0
    assert result.comparison("one", "psnr").mean < 100
    assert {arm.name for arm in result.arms} == {"two", "one"}


def test_a_run_that_was_stopped_goes_on_to_the_same_result(
    whole: tuple[Result, Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    read = _read(tmp_path, tiny_bundle)
    for after in (3, 17):
        with pytest.raises(Interrupted):
            run_ab(read, tmp_path / "run", _stopped(after))
    journal = Journal.read(tmp_path / "run")
    assert 17 <= len(journal.drawn) < 28
    result = run_ab(read, tmp_path / "run")
    assert _quality(result) == _quality(whole[0])
    lines = (tmp_path / "run" / JOURNAL_FILE).read_text(encoding="utf-8").splitlines()
    keys = [
        (line["kind"], line["case"], line["arm"])
        for line in map(json.loads, lines)
        if line["kind"] in ("drawn", "judged")
    ]
    assert len(keys) == len(set(keys)) == 56  # nothing done twice, nothing left out


def test_what_is_done_is_not_drawn_again_and_a_gate_may_change(
    whole: tuple[Result, Path], tiny_bundle: Path
) -> None:
    _, folder = whole
    before = (folder / "run" / JOURNAL_FILE).read_bytes()
    gate = "[gate]\nbetter = ['evaluations']\n[gate.not_worse]\ntokens = 0\n"
    result = run_ab(_read(folder, tiny_bundle, gate=gate), folder / "run")
    assert (folder / "run" / JOURNAL_FILE).read_bytes() == before
    assert result.overall[0].verdict is Verdict.BETTER
    assert result.overall[0].holds
    run_ab(_read(folder, tiny_bundle), folder / "run")


def test_another_config_in_the_folder_is_refused_until_told_to_begin_anew(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    run_ab(_read(tmp_path, tiny_bundle, "seed = 1\n"), tmp_path / "run")
    other = _read(tmp_path, tiny_bundle, "seed = 2\n")
    with pytest.raises(RunDiffers, match="seed"):
        run_ab(other, tmp_path / "run")
    (tmp_path / "run/mine.txt").write_text("kept", encoding="utf-8")
    assert run_ab(other, tmp_path / "run", fresh=True).suite.seed == 2
    assert (tmp_path / "run/mine.txt").read_text(encoding="utf-8") == "kept"


def test_a_run_may_be_looked_at_before_it_is_done(tiny_bundle: Path, tmp_path: Path) -> None:
    read = _read(tmp_path, tiny_bundle)
    with pytest.raises(Interrupted):
        run_ab(read, tmp_path / "run", _stopped(13))
    result = report_ab(tmp_path / "run")
    assert result.state == "unfinished"
    assert result.name == "few"
    assert 0 < result.cases_done < 14
    with pytest.raises(Interrupted):
        run_ab(read, tmp_path / "run", _stopped(26))
    later = report_ab(tmp_path / "run")
    assert result.cases_done < later.cases_done
    assert all(c.q is None for c in later.comparisons if c.e_value is not None)


def test_a_decided_run_stops_early_and_stays_so(tiny_bundle: Path, tmp_path: Path) -> None:
    """PSNR of noise drawn in two steps and in one is far below 60 dB in every case."""
    suite = SUITE.replace("14", "60")
    read = _read(tmp_path, tiny_bundle, "stop_early = true\n", "[gate.not_worse]\npsnr = 60\n")
    (tmp_path / "suite.toml").write_text(suite, encoding="utf-8")
    result = run_ab(read, tmp_path / "run")
    assert result.state == "stopped early"
    assert 12 <= result.cases_done < 60
    assert result.overall[0].verdict is Verdict.WORSE
    assert run_ab(read, tmp_path / "run").cases_done == result.cases_done


def test_what_costs_the_same_each_time_can_be_told_early(tiny_bundle: Path, tmp_path: Path) -> None:
    """Constant costs had no interval while one looked, so that a gate on them never stopped."""
    gate = "[gate]\nbetter = ['evaluations']\n[gate.not_worse]\ntokens = 0\n"
    read = _read(tmp_path, tiny_bundle, "stop_early = true\n", gate)
    (tmp_path / "suite.toml").write_text(SUITE.replace("14", "40"), encoding="utf-8")
    result = run_ab(read, tmp_path / "run")
    assert result.overall[0].verdict is Verdict.BETTER
    assert result.state == "stopped early"


def test_a_run_in_which_all_fails_says_so_and_decides_nothing(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """Three photos without a face were called not worse."""
    (tmp_path / "people").mkdir()
    for number in range(3):
        Image.new("RGB", (256, 256)).save(tmp_path / f"people/{number}.png")
    text = 'title = "x"\n[photos]\nfolder = "people"\n[[prompts]]\nattributes = { age = 60 }\n'
    read = _read(tmp_path, tiny_bundle)
    (tmp_path / "suite.toml").write_text(text, encoding="utf-8")
    result = run_ab(read, tmp_path / "run")
    assert result.overall[0].verdict is Verdict.UNDECIDED
    assert any("3 pictures of two failed" in note for note in result.notes)
    assert any("FaceNotFound" in note for note in result.notes)
    assert result.cases_done == 3


def test_a_person_with_more_cases_than_a_block_is_drawn(tiny_bundle: Path, tmp_path: Path) -> None:
    """The template's people have ten cases each, and a queue of a block's size was too short."""
    read = _read(tmp_path, tiny_bundle)
    (tmp_path / "suite.toml").write_text(
        'title = "x"\n[drawn]\npeople = 2\nwishes = 4\nseeds = 2\n', encoding="utf-8"
    )
    result = run_ab(read, tmp_path / "run")
    assert result.cases_done == 16
    assert not any("failed" in note for note in result.notes if "FaceNotFound" not in note)


def test_order_and_block_are_part_of_a_run(tiny_bundle: Path, tmp_path: Path) -> None:
    """Reordered arms would have found each other's pictures under their own numbers."""
    run = _read(tmp_path, tiny_bundle)
    reordered = parse_config(run.text + "[arms.three]\nsteps = 3\n", "it", tmp_path)
    other = parse_config(run.text.replace("block = 5", "block = 6"), "it", tmp_path)
    prints = {plan_of(read).header.fingerprint for read in (run, reordered, other)}
    assert len(prints) == 3


def test_metrics_a_bundle_cannot_give_are_refused_before_anything_is_drawn(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(MetricUnavailable, match="memory = true"):
        run_ab(_read(tmp_path, tiny_bundle, "metrics = ['memory', 'identity']\n"), tmp_path / "run")
    with pytest.raises(MetricUnavailable, match="price"):
        run_ab(_read(tmp_path, tiny_bundle, gate="[gate.not_worse]\ncost = 1\n"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_memory_is_measured_in_a_process_of_its_own(tiny_bundle: Path, tmp_path: Path) -> None:
    read = _read(tmp_path, tiny_bundle, "memory = true\n")
    assert 50 * 2**20 < measure_memory(read, "one") < 16 * 2**30


def test_a_price_makes_money_of_seconds(tiny_bundle: Path, whole: tuple[Result, Path]) -> None:
    _, folder = whole
    gate = GATE + "[price]\ndevice_hour = 3.6\n"
    result = run_ab(_read(folder, tiny_bundle, gate=gate), folder / "run")
    seconds, cost = (result.comparison("one", key) for key in ("seconds", "cost"))
    assert cost.arm_mean == pytest.approx(seconds.arm_mean)  # of a thousand
    run_ab(_read(folder, tiny_bundle), folder / "run")


def test_a_plan_needs_no_folder_and_names_what_it_goes_without(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    plan = plan_of(_read(tmp_path, tiny_bundle))
    assert plan.notes == ()
    assert plan.header.told["seed"] == "0"


def test_folders_and_files_that_are_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalInvalid, match="holds no run"):
        report_ab(tmp_path)
    with pytest.raises(ResultNotFound, match="limner ab"):
        read_result(tmp_path)
    (tmp_path / "result.json").write_text('{"schema": 1, "name": "cut', encoding="utf-8")
    with pytest.raises(ResultInvalid, match="run limner ab on its config again"):
        read_result(tmp_path)
