"""`limner ab` on a bundle of random weights: what it says, its exit codes, what it refuses."""

import json
from pathlib import Path

import pytest

from cli import run
from cli.ab import exit_code
from eval import ABResult

Shown = pytest.CaptureFixture[str]
ARMS = "[arms.two]\nsteps = 2\n[arms.one]\nsteps = 1\n"


def _config(folder: Path, bundle: Path, gate: str, people: int = 8) -> Path:
    suite = f'title = "x"\n[drawn]\npeople = {people}\n'
    (folder / "suite.toml").write_text(suite, encoding="utf-8")
    file = folder / "ab.toml"
    text = f'suite = "suite.toml"\nbundle = "{bundle}"\n{ARMS}{gate}'
    file.write_text(text, encoding="utf-8")
    return file


def test_a_gate_that_holds_is_0_and_the_config_alone_is_enough(
    tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    file = _config(tmp_path, tiny_bundle, "[gate.not_worse]\ntokens = 0\n")
    assert run(["ab", str(file), "-o", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "one is not worse, beside two" in said
    assert "evaluations" in said
    assert (tmp_path / "run/report.html").is_file()
    assert run(["ab", "report", str(tmp_path / "run")]) == 0


def test_a_gate_that_does_not_is_3_and_json_tells_all(
    tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    file = _config(tmp_path, tiny_bundle, "[gate.not_worse]\npsnr = 60\n")
    assert run(["ab", "run", str(file), "-o", str(tmp_path / "run"), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["overall"][0]["verdict"] == "worse"
    assert ABResult.model_validate(told).state == "complete"


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (["not worse"], 0), (["worse"], 3), (["undecided"], 4), (["undecided", "worse"], 3),
        (["undecided", "not worse"], 4),
    ],
)  # fmt: skip
def test_the_gravest_arm_decides_the_exit_code(
    found: list[str], code: int, tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    file = _config(tmp_path, tiny_bundle, "[gate.not_worse]\ntokens = 0\n")
    run(["ab", str(file), "-o", str(tmp_path / "run"), "--json"])
    told = json.loads(capsys.readouterr().out)
    one = told["overall"][0]
    told["overall"] = [
        {
            **one, "verdict": verdict,
            "gate": [{**one["gate"][0], "found": verdict, "holds": verdict == "not worse"}],
        }
        for verdict in found
    ]  # fmt: skip
    assert exit_code(ABResult.model_validate(told)) == code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ARMS + "[gate.not_worse]\nlikeness = 1\n", 'unknown metric "likeness"'),
        ("[arms.a]\n[arms.b]\nsteppes = 3\n", 'did you mean "steps"'),
        ("[arms.a]\n[arms.b]\n", "differ in nothing"),
        ('suite = "nobody"\n' + ARMS, "there is no suite"),
        ("metrics = ['cost', 'psnr', 'identity', 'attributes']\n" + ARMS, "[price]"),
        ('bundle = "nowhere"\n' + ARMS, "nowhere"),
        ("[arms.a]\nsteps = 0\n[arms.b]\n", "steps"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_nothing_is_left(
    text: str, said: str, tmp_path: Path, capsys: Shown
) -> None:
    file = tmp_path / "ab.toml"
    file.write_text(text, encoding="utf-8")
    assert run(["ab", str(file), "-o", str(tmp_path / "run")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_damaged_journal_is_one_line_before_anything_is_drawn(
    tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    file = _config(tmp_path, tiny_bundle, "", people=2)
    run(["ab", str(file), "-o", str(tmp_path / "run")])
    journal = tmp_path / "run/journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join([lines[0], "x\n", *lines[2:]]), encoding="utf-8")
    capsys.readouterr()
    assert run(["ab", str(file), "-o", str(tmp_path / "run")]) == 2
    told = capsys.readouterr()
    assert "damaged in line 2" in told.err
    assert len(told.err.strip().splitlines()) == 1


def test_examples_and_suites_are_printed(tmp_path: Path, capsys: Shown) -> None:
    assert run(["ab", "example"]) == 0
    (tmp_path / "ab.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert run(["ab", "example", "--suite"]) == 0
    assert "[photos]" in capsys.readouterr().out
    assert run(["ab", "suites", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"mini-quick"}
    assert run(["ab"]) == 2
