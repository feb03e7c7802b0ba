"""The project's own A/B runs: every claim of "as good, cheaper", and harms that must be found.

Runs each config in docs/evidence, leaves the run in out/evidence/NAME (where it goes on if it was
stopped), keeps the result in docs/evidence/results, and writes the table of its README.

    python benchmarks/evidence.py [NAME …] [--table]
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from rich.progress import Progress, TimeElapsedColumn

from eval.ab.config import read_config
from eval.ab.null import NullResult, null_ab
from eval.ab.results import Result, read_result
from eval.ab.run import Listener, run_ab
from eval.ab.verdicts import shown_value

ROOT = Path(__file__).resolve().parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
RUNS = ROOT / "out" / "evidence"
CLAIMS = ("optimiser", "cache", "steps", "fast", "batch")
HARMS = ("harm-steps", "harm-identity", "harm-glasses")
NULL = "aa"
SHOWN = ("identity", "attributes", "psnr", "tokens", "positions_computed", "evaluations", "seconds")
MARK = ("<!-- RESULTS: written by benchmarks/evidence.py -->", "<!-- /RESULTS -->")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which; without: all")
    parser.add_argument("--table", action="store_true", help="only write the table anew")
    given = parser.parse_args()
    kept = EVIDENCE / "results"
    kept.mkdir(exist_ok=True)
    for name in [] if given.table else given.names or [*CLAIMS, *HARMS, NULL]:
        with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as bar:
            task = bar.add_task(name, total=None)
            listener = Listener(
                stage=lambda text, t=task, n=name: bar.update(t, description=f"{n}: {text}"),
                drawn=lambda done, total, t=task: bar.update(t, completed=done, total=total),
                remark=print,
            )
            if name == NULL:
                found = null_ab(None, RUNS / NULL, listener)
                text = found.model_dump_json(indent=1)
            else:
                read = read_config(EVIDENCE / f"{name}.toml")
                command = f"limner ab docs/evidence/{name}.toml"
                result = run_ab(read, RUNS / name, listener, command=command)
                text = _without_looks(result)
        (kept / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    _write_table(kept)


def _without_looks(result: Result) -> str:
    """The result as it is kept: the way there can be had again from the run."""
    kept = result.model_copy(update={"looks": ()})
    return kept.model_dump_json(indent=1, by_alias=True)


def _write_table(kept: Path) -> None:
    lines = []
    for title, names in (("Claims", CLAIMS), ("Harms that must be found", HARMS)):
        lines += [f"### {title}", "", _head(), "|" + "---|" * (4 + len(SHOWN))]
        for name in names:
            if (kept / f"{name}.json").is_file():
                lines += _rows(name, read_result(kept / f"{name}.json"))
        lines.append("")
    if (kept / f"{NULL}.json").is_file():
        lines += _null_lines(NullResult.model_validate_json((kept / f"{NULL}.json").read_text()))
    page = EVIDENCE / "README.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(MARK[0])
    after = rest.partition(MARK[1])[2]
    text = before + MARK[0] + "\n" + "\n".join(lines).rstrip() + "\n" + MARK[1] + after
    page.write_text(text, encoding="utf-8")


def _head() -> str:
    return "| run | arm beside reference | verdict | people, cases | " + " | ".join(SHOWN) + " |"


def _rows(name: str, result: Result) -> list[str]:
    rows = []
    for one in result.overall:
        cells = []
        for key in SHOWN:
            found = [c for c in result.comparisons if (c.arm, c.metric) == (one.arm, key)]
            cells.append(_cell(result, key, found[0]) if found else "")
        file = f"[{name}]({name}.toml)"
        size = f"{result.suite.people}, {result.cases_done}"
        verdict = f"**{one.verdict}**: {one.why}"
        rows.append(
            f"| {file} | {one.arm} : {result.reference} | {verdict} | {size} | "
            + " | ".join(cells)
            + " |"
        )
    return rows


def _cell(result: Result, key: str, found) -> str:  # type: ignore[no-untyped-def]
    metric = result.metric(key)
    signed = metric.kind != "agreement"
    low, high = (shown_value(metric, end, signed) for end in (found.low, found.high))
    arm = shown_value(metric, found.arm_mean, signed=False)
    if found.low == found.high:
        return f"{arm} ({low})"
    return f"{arm} ({low.split()[0]} … {high})"


def _null_lines(found: NullResult) -> list[str]:
    lines = ["### The same arm twice", "", "| runs | found something | rate | 95 % interval |",
             "|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {line.title}: {line.runs} | {line.found} | {100 * line.rate:.1f} % | "
        f"{100 * line.low:.1f} … {100 * line.high:.1f} % |"
        for line in found.lines
    ]
    return [*lines, "", *(f"- {text}" for text in found.findings)]


if __name__ == "__main__":
    main()
