"""The page opens anywhere, says the money first, speaks two languages and reads well on paper."""

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from eval.costs.elsewhere import read_services
from eval.costs.errors import QuestionRejected
from eval.costs.page import render_costs
from eval.costs.question import read_question
from eval.costs.report import read_report
from eval.costs.words import WORDS_FILE
from fusion import Ending, Ledger, Opening, decimal_of, read_prices
from tests.browsing import opening_files
from tests.eval.costs.sample_ledger import HOSTILE, SPRING

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def page_file(month: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = read_report(
        month, read_question(by=["tenant", "bundle"]), services=read_services(), cores=2,
        prices=read_prices(SPRING.replace("2.10", "0.90")),
    )  # fmt: skip
    file = tmp_path_factory.mktemp("page") / "costs.html"
    file.write_text(render_costs(report), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Browser, page_file: Path) -> Iterator[Opened]:
    with opening_files(browser, page_file) as open_page:
        yield open_page


def test_the_money_comes_first_and_is_exact_at_the_end(opened: Opened, month: Path) -> None:
    page = opened()
    total = read_report(month, read_question()).total
    assert page.locator("main section").first.inner_text().startswith("1.1537")
    assert f"{decimal_of(total.cost()['EUR'])} EUR" in page.inner_text("#exact")
    assert page.locator("#groups tbody tr").count() == 8


def test_days_are_drawn_and_told(opened: Opened) -> None:
    page = opened()
    pictures, cost = page.locator("#days figure").all()
    assert pictures.locator(".touch").count() == cost.locator(".touch").count() == 30
    assert page.locator("#days .legend span").count() == 4
    told = pictures.locator("title").first.text_content()
    assert told is not None
    assert told.startswith("2026-10-26: 13")
    broken = page.evaluate(
        "[...document.querySelectorAll('svg *')].filter((e) => [...e.attributes]"
        ".some((a) => /NaN|undefined|Infinity/.test(a.value))).length"
    )
    assert broken == 0
    page.click("#days summary")
    assert page.locator("table.days tbody tr").count() == 30


def test_estimates_are_called_so_and_show_their_formula(opened: Opened) -> None:
    saved = opened().inner_text("#saved")
    assert "estimate" in saved
    assert re.search(r"÷ 5,172 × 18,136 = 29\.6 s", saved)
    assert "counted above" in saved
    assert "no tokens leave the machine" in opened().inner_text("#stages")
    assert "not measured" in opened().inner_text("#stages")


def test_it_speaks_chinese_and_comes_back(opened: Opened) -> None:
    page = opened()
    page.click("#language")
    assert page.get_attribute("html", "lang") == "zh-CN"
    assert page.inner_text("h1") == "费用报告"
    assert "每日费用（EUR）" in page.inner_text("#days")
    assert "没有 token 离开本机" in page.inner_text("#stages")
    page.click("#language")
    assert page.inner_text("h1") == "What it cost"
    assert opened(locale="zh-CN").inner_text("h1") == "费用报告"


def test_a_language_that_was_asked_for_goes_before_the_readers(
    opened: Opened, month: Path, tmp_path: Path
) -> None:
    report = read_report(month, read_question())
    file = tmp_path / "zh.html"
    file.write_text(render_costs(report, "zh"), encoding="utf-8")
    assert opened(file).inner_text("h1") == "费用报告"
    assert opened(file, java_script_enabled=False).inner_text("h1") == "费用报告"
    with pytest.raises(QuestionRejected, match="en or zh"):
        render_costs(report, "fr")


def test_it_is_dark_where_the_reader_is(opened: Opened) -> None:
    def shade(page: Page) -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(colour.removeprefix("rgb(").split(",")[0])

    assert shade(opened(color_scheme="light")) > 200
    page = opened(color_scheme="dark")
    assert shade(page) < 60
    page.click("#theme")
    assert shade(page) > 200


def test_it_fits_a_phone(opened: Opened) -> None:
    page = opened(viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_on_paper_everything_is_open_and_little_of_it_is_ink(
    opened: Opened, tmp_path: Path
) -> None:
    page = opened(color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.is_visible("nav")
    assert not page.is_visible("#theme")
    page.pdf(path=tmp_path / "costs.pdf", format="A4")
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "costs.pdf").read_bytes()))
    assert 2 <= pages <= 6


def test_without_scripts_every_number_is_there(opened: Opened) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("#groups tbody tr").count() == 8
    assert page.locator("#stages .meter").count() >= 8
    assert "2026-10-26" in (page.locator("table.days").text_content() or "")


def test_hostile_names_are_text(opened: Opened, tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db", read_prices(SPRING)) as ledger:
        ledger.reserve(Opening(id="r", bundle=HOSTILE, bundle_digest="d", tenant=HOSTILE))
        ledger.settle("r", ())
    report = read_report(tmp_path / "l.db", read_question(by=["tenant", "bundle"]))
    file = tmp_path / "hostile.html"
    file.write_text(render_costs(report), encoding="utf-8")
    page = opened(file)
    assert HOSTILE in page.inner_text("#groups tbody")
    assert page.locator("b[onclick]").count() == 0


def test_without_prices_the_page_says_that_nothing_was_billed(
    opened: Opened, tmp_path: Path
) -> None:
    with Ledger(tmp_path / "free.db") as ledger:
        ledger.reserve(Opening(id="r", bundle="mini", bundle_digest="d"))
        ledger.settle("r", ())
    file = tmp_path / "free.html"
    report = read_report(tmp_path / "free.db", read_question(by=["stage"]))
    file.write_text(render_costs(report), encoding="utf-8")
    assert "nothing was billed" in opened(file).inner_text("#total")


def test_every_word_is_said_in_both_languages() -> None:
    for table, words in tomllib.loads(WORDS_FILE.read_text(encoding="utf-8")).items():
        for key, said in words.items():
            assert len(said) == 2, f"{table}.{key}"
            assert all(said), f"{table}.{key}"
            english, chinese = (sorted(re.findall(r"\{\w+\}", one)) for one in said)
            assert english == chinese, f"{table}.{key}"


def test_connections_that_nobody_counted_are_not_said_to_be_none(tmp_path: Path) -> None:
    """Of requests that were only stopped, nothing says that no token left the machine."""
    file = tmp_path / "ledger.db"
    with Ledger(file) as ledger:
        ledger.reserve(Opening(id="r", bundle="b", bundle_digest="d"))
        ledger.settle("r", [], Ending.CANCELLED)
    shown, _, _ = render_costs(read_report(file, read_question()), "en").partition("<script")
    assert "no tokens leave the machine" not in shown
    assert shown.count("not measured") == 2, "connections and energy"
