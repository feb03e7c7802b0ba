"""`limner costs`: what it says, its exit codes, what it refuses; and what `limner fuse` books."""

import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest

from cli import run
from fusion import Ending, Ledger, Opening, Quantity, nano, read_prices
from tests.eval.costs.sample_ledger import DOLLARS, SPRING, sample_ledger

Shown = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_ledger(tmp_path_factory.mktemp("books") / "ledger.db", days=6)


@pytest.fixture(autouse=True)
def _a_hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test before this one left in the environment."""
    monkeypatch.setenv("COLUMNS", "100")


def _told(shown: Shown, *words: object, code: int = 0) -> str:
    assert run(["costs", *map(str, words)]) == code
    told = shown.readouterr()
    return told.out if code == 0 else told.err


def test_the_report_is_readable_at_a_hundred_columns(ledger: Path, capsys: Shown) -> None:
    said = _told(capsys, "--ledger", ledger, "--by", "tenant", "--by", "bundle")
    tables = [line for line in said.splitlines() if line.startswith(" ")]
    assert max(map(len, tables)) <= 100
    for expected in (
        "By tenant, bundle", "print shop", "Saved, and spent", "Stage by stage", "denoise",
        "no tokens leave the machine", "energy not measured", "Prices in force", "our own GPU",
        "Elsewhere", "Not delivered",
    ):  # fmt: skip
        assert expected in said, expected
    assert "…" not in said, "nothing is cut off"


def test_it_speaks_chinese(ledger: Path, capsys: Shown) -> None:
    said = _told(capsys, "--ledger", ledger, "--by", "bundle", "--language", "zh")
    assert "费用报告" in said
    assert "没有 token 离开本机" in said


def test_every_form_says_the_same_sum(ledger: Path, tmp_path: Path, capsys: Shown) -> None:
    at = ("--ledger", ledger, "--by", "tenant")
    told = json.loads(_told(capsys, *at, "--format", "json"))
    total = nano(told["total"]["cost"]["EUR"])
    rows = list(csv.DictReader(io.StringIO(_told(capsys, *at, "--format", "csv"))))
    assert sum(nano(row["cost_EUR"]) for row in rows) == total
    focus = list(csv.DictReader(io.StringIO(_told(capsys, *at[:2], "--format", "focus"))))
    assert sum(nano(row["BilledCost"]) for row in focus) == total
    assert "report:" in _told(capsys, *at, "-o", tmp_path / "new" / "costs.html")
    assert told["total"]["cost"]["EUR"] in (tmp_path / "new" / "costs.html").read_text("utf-8")
    assert f"{len(focus):,} rows" in _told(
        capsys, *at[:2], "--format", "focus", "-o", tmp_path / "focus.csv"
    )
    assert told["total"]["cost"]["EUR"] in _told(capsys, *at)


def test_other_prices_and_other_services_are_compared(
    ledger: Path, tmp_path: Path, capsys: Shown
) -> None:
    table = tmp_path / "cheap.toml"
    table.write_text(SPRING.replace("2.10", "0.10").replace("our own GPU", "cheap"), "utf-8")
    services = tmp_path / "services.toml"
    services.write_text(_told(capsys, "elsewhere"), "utf-8")
    said = _told(capsys, "--ledger", ledger, "--prices", table, "--elsewhere", services)
    assert "By another price table: cheap" in said
    assert "Kontext" in _told(capsys, "elsewhere", services)
    table.write_text(DOLLARS, "utf-8")
    said = _told(capsys, "--ledger", ledger, "--prices", table, code=2)
    assert said.count("\n") == 1
    assert "no rates are known" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--by", "planet"), "--by takes tenant"),
        (("--since", "soon"), "--since takes a day"),
        (("--since", "2026-11", "--until", "2026-10"), "nothing lies between"),
        (("--since", "2030"), "--since takes a day"),
        (("--since", "2030-01"), "has no requests since 2030-01-01"),
        (("--format", "pdf"), "--format takes"),
        (("-o", "costs.pdf"), "does not end in"),
        (("--format", "table", "-o", "costs.txt"), "terminal"),
        (("--language", "fr"), "en or zh"),
        (("--elsewhere", "nowhere.toml"), "nowhere.toml"),
        (("--prices", "nowhere.toml"), "nowhere.toml"),
        (("show", "req_none"), "no request req_none"),
        (("correct", "req_00001", "images", "many", "--reason", "x"), "whole number"),
        (("correct", "req_00001", "birds", "1", "--reason", "x"), "not counted"),
        (("verify", "--known", "12"), "--known takes"),
        (("verify", "--known", "12:3fa9c0de"), "whole hash"),  # it was said not to be the one noted
        (("plan", "--pictures", "0"), "pictures a day"),
        (("plan", "--pictures", "9", "--bundle", "giant"), "no requests of bundle giant"),
        (("prices", "nowhere.toml"), "cannot be read"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    words: tuple[str, ...], said: str, ledger: Path, capsys: Shown
) -> None:
    told = _told(capsys, "--ledger", ledger, *words, code=2)
    assert said in told
    assert told.count("\n") == 1


def test_connections_that_nobody_counted_are_not_said_to_be_none(
    tmp_path: Path, capsys: Shown
) -> None:
    with Ledger(tmp_path / "ledger.db") as book:
        book.reserve(Opening(id="r", bundle="b", bundle_digest="d"))
        book.settle("r", [], Ending.CANCELLED)
    said = _told(capsys, "--ledger", tmp_path / "ledger.db")
    assert "connections opened not measured" in said
    assert "no tokens leave" not in said


def test_a_ledger_is_not_made_to_be_read(tmp_path: Path, capsys: Shown) -> None:
    missing = tmp_path / "ledger.db"
    for words in ((), ("verify",), ("show", "x"), ("prices",),
                  ("correct", "x", "images", "1", "--reason", "y")):  # fmt: skip
        assert "there is no ledger" in _told(capsys, "--ledger", missing, *words, code=2)
    assert list(tmp_path.iterdir()) == []


def test_verify_holds_and_then_names_the_broken_line(tmp_path: Path, capsys: Shown) -> None:
    file = sample_ledger(tmp_path / "ledger.db", days=1)
    said = _told(capsys, "verify", "--ledger", file)
    noted = said.split("--known ")[1].strip()
    assert "every one fits" in _told(capsys, "verify", "--ledger", file, "--known", noted)
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TRIGGER limner_ledger_lines_no_update")
        connection.execute("UPDATE limner_ledger_lines SET quantity = 5 WHERE sequence = 7")
    connection.close()
    assert run(["costs", "verify", "--ledger", str(file)]) == 3
    assert "line 7" in capsys.readouterr().out
    assert run(["costs", "verify", "--ledger", str(file), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["broken"] == 7


def test_a_request_is_shown_and_corrected_by_a_line_more(
    tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")  # so that no cell is folded
    file = sample_ledger(tmp_path / "ledger.db", days=1)
    before = json.loads(_told(capsys, "show", "req_00001", "--ledger", file, "--json"))
    said = _told(
        capsys, "correct", "req_00001", "denoiser_time", "-1000000", "--reason", "shared",
        "--ledger", file,
    )  # fmt: skip
    assert "denoiser_time of req_00001" in said
    after = json.loads(_told(capsys, "show", "req_00001", "--ledger", file, "--json"))
    assert after["lines"][:-1] == before["lines"]
    assert after["lines"][-1]["quantity"] == -1_000_000
    told = _told(capsys, "show", "req_00001", "--ledger", file)
    assert "denoiser_time, correction 1" in told
    assert "shared" in told
    assert "every one fits" in _told(capsys, "verify", "--ledger", file)


def test_prices_are_explained_checked_and_kept(ledger: Path, tmp_path: Path, capsys: Shown) -> None:
    table = tmp_path / "prices.toml"
    table.write_text(_told(capsys, "prices", "--example"), "utf-8")
    assert "denoiser_time" in _told(capsys, "prices", table)
    assert json.loads(_told(capsys, "prices", table, "--json"))["currency"] == "EUR"
    assert "denoiser_time" in _told(capsys, "prices", "--items")
    assert "our own GPU, dearer" in _told(capsys, "--ledger", ledger, "prices")


def test_a_plan_shows_the_numbers_it_was_made_of(ledger: Path, capsys: Shown) -> None:
    said = _told(capsys, "plan", "--pictures", "20000", "--machine-hour", "2", "--ledger", ledger)
    assert "measured on" in said
    assert "20,000 ÷ (10 × 3600 s) × 3" in said
    told = json.loads(
        _told(
            capsys, "plan", "--pictures", "36000", "--evaluations", "20", "--evaluation-seconds",
            "0.1", "--other-seconds", "0.5", "--utilisation", "0.5", "--peak", "2", "--json",
        )
    )  # fmt: skip
    assert told["machines"] == 10


def test_fuse_books_what_it_draws_and_says_what_it_cost(
    tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    table = tmp_path / "prices.toml"
    table.write_text(SPRING, "utf-8")
    drawing = ["fuse", "-s", "age=30", "--steps", "2", "-b", str(tiny_bundle), "--device", "cpu"]
    books = ["--ledger", str(tmp_path / "ledger.db"), "--prices", str(table)]
    assert run([*drawing, "-o", str(tmp_path / "a.png"), *books, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    account = told["account"]
    lines = {line["item"]: line["quantity"] for line in account["lines"]}
    assert lines["denoiser_evaluations"] == told["usage"]["denoiser_evaluations"]
    assert nano(account["cost"]) > 500_000
    report = json.loads(_told(capsys, "--ledger", tmp_path / "ledger.db", "--by", "source",
                              "--format", "json"))  # fmt: skip
    assert report["groups"][0]["source"] == "fuse"
    assert report["total"]["cost"]["EUR"] == account["cost"]
    assert run([*drawing, "-o", str(tmp_path / "b.png"), *books]) == 0
    assert "EUR, booked as" in capsys.readouterr().out


def test_a_picture_is_worth_more_than_its_ledger(
    tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    drawing = ["fuse", "-s", "age=30", "--steps", "1", "-b", str(tiny_bundle), "--device", "cpu"]
    (tmp_path / "folder").mkdir()
    picture = tmp_path / "a.png"
    assert run([*drawing, "-o", str(picture), "--ledger", str(tmp_path / "folder")]) == 0
    assert picture.is_file()
    notes = [one for one in capsys.readouterr().err.splitlines() if "booked" in one]
    assert len(notes) == 1
    assert run([*drawing, "-o", str(picture), "--no-ledger", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["account"] is None
    bad = tmp_path / "bad.toml"
    bad.write_text("name = 1")
    assert run([*drawing, "-o", str(picture), "--prices", str(bad)]) == 2
    assert "bad.toml" in capsys.readouterr().err


def test_a_locked_ledger_delivers_and_says_so_once(
    tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    file = tmp_path / "ledger.db"
    with Ledger(file):
        pass
    lock = sqlite3.connect(file)
    lock.execute("BEGIN IMMEDIATE")
    drawing = ["fuse", "-s", "age=30", "--steps", "1", "-b", str(tiny_bundle), "--device", "cpu"]
    assert run([*drawing, "-o", str(tmp_path / "a.png"), "--ledger", str(file)]) == 0
    lock.rollback()
    lock.close()
    assert (tmp_path / "a.png").is_file()
    assert capsys.readouterr().err.count("booked") == 1


def test_focus_refuses_what_it_would_leave_out(ledger: Path, capsys: Shown) -> None:
    said = _told(capsys, "--ledger", ledger, "--format", "focus", "--by", "tenant", code=2)
    assert "leave --by out" in said


def test_headline_money_is_of_its_own_pictures_with_thousands(
    tmp_path: Path, capsys: Shown
) -> None:
    file = tmp_path / "ledger.db"
    for name, text, pictures in (("a", DOLLARS.replace("0.02", "1500"), 2), ("b", SPRING, 5)):
        with Ledger(file, read_prices(text)) as book:
            book.reserve(Opening(id=name, bundle="b", bundle_digest="d"))
            book.settle(name, [Quantity("images", pictures)])
    said = _told(capsys, "--ledger", file)
    assert "USD 3,000, for a picture 1,500.00" in said
    assert "EUR 0.0025, for a picture 0.00050" in said
    assert "rejected by the identity gate" not in said
    (tmp_path / "other.toml").write_text(SPRING, "utf-8")
    said = _told(capsys, "--ledger", file, "--prices", tmp_path / "other.toml")
    assert "1 of the requests, priced in EUR; left out: 1, free or of another" in said


def test_requests_are_listed_and_found_by_the_beginning_of_an_id(
    tmp_path: Path, capsys: Shown
) -> None:
    file = sample_ledger(tmp_path / "ledger.db", days=2)
    listed = json.loads(_told(capsys, "requests", "--last", "3", "--ledger", file, "--json"))
    assert len(listed) == 3
    assert [one["at"] for one in listed] == sorted((one["at"] for one in listed), reverse=True)
    newest = listed[0]
    assert newest["id"] in _told(capsys, "requests", "--ledger", file)
    assert "no such requests" in _told(capsys, "requests", "--tenant", "nobody", "--ledger", file)
    shown = json.loads(_told(capsys, "show", newest["id"], "--ledger", file, "--json"))
    assert nano(newest["cost"]) == sum(line["cost"] for line in shown["lines"])
    assert newest["ending"] == shown["lines"][-1]["note"] or newest["ending"] == "open"
    with Ledger(file) as book:
        for name in ("abcdef-1", "abcdef-2", "ABCDEFG"):
            book.reserve(Opening(id=name, bundle="b", bundle_digest="d"))
            book.settle(name, [Quantity("images", 1)])
    said = _told(capsys, "show", "abcdef", "--ledger", file, code=2)
    assert "the beginning of 2 requests: abcdef-1, abcdef-2" in said
    assert "give 6 letters or more" in _told(capsys, "show", "abcd", "--ledger", file, code=2)
    assert "no request abc_ef" in _told(capsys, "show", "abc_ef", "--ledger", file, code=2)
    assert "ABCDEFG: portrait" in _told(capsys, "show", "ABCDEF", "--ledger", file)
    said = _told(
        capsys, "correct", "ABCDEF", "images", "-1", "--reason", "one\nwas  black",
        "--ledger", file,
    )  # fmt: skip
    assert "images of ABCDEFG" in said
    said = _told(capsys, "show", "ABCDEFG", "--ledger", file)
    assert "images, correction 1" in said
    assert "one was black" in said


def test_a_page_without_a_name_says_where_it_is(
    ledger: Path, tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "costs.html") in _told(capsys, "--ledger", ledger, "--format", "html")
    assert (tmp_path / "costs.html").is_file()
    assert "./costs.html" in " ".join(_told(capsys, "--help").split())
