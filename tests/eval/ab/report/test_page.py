"""The report opens anywhere, says the verdict first, and lets one look for the worst."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from eval.ab.report import render_report, write_report
from eval.ab.report.words import WORDS_FILE
from eval.report import read_words
from tests.browsing import opening_files
from tests.eval.ab.report.sample_run import HOSTILE, make_run

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return write_report(*make_run(folder, 30), folder)


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    with opening_files(browser, report) as open_page:
        yield open_page


def test_the_verdict_comes_first(opened: Opened) -> None:
    page = opened()
    assert page.inner_text("h1") == "Four steps instead of twenty"
    first = page.inner_text("main section >> nth=0")
    assert "four is worse" in " ".join(first.split())
    assert page.locator(".gate li.missed").count() == 1
    assert page.locator(".gate li.holds").count() == 1


def test_the_worst_pair_is_the_first_card_and_filters_hold(opened: Opened) -> None:
    page = opened()
    gains = [
        float(text.replace("−", "-")) for text in page.locator(".card .gain").all_inner_texts()
    ]
    assert gains == sorted(gains)
    assert gains[0] == -0.6
    page.select_option("#sort", "best")
    assert page.locator(".card .gain").first.inner_text().startswith("0")
    page.select_option("#only", "failed")
    assert page.locator(".card").get_attribute("data-case") == "3"
    page.select_option("#only", "disagreed")
    assert page.locator(".card").count() == 15
    page.fill("#search", "age 24")
    assert page.locator(".card").get_attribute("data-case") == "4"
    page.fill("#search", "nowhere")
    assert "Nothing fits" in page.inner_text("#cases")


def test_one_may_look_at_what_was_asked_for_and_at_what_became_worse(opened: Opened) -> None:
    page = opened()
    page.select_option("#asked", "hat")
    assert page.locator(".card").count() == 6
    page.select_option("#asked", "")
    page.select_option("#only", "worsened")
    shown = page.inner_text("#count")
    assert shown.startswith("25 of 30")  # number % 7 == 0 lost nothing: five of them
    assert all("−" in text for text in page.locator(".card .gain").all_inner_texts())
    page.select_option("#only", "all")
    page.select_option("#sort-metric", "psnr")
    assert page.locator(".card").first.get_attribute("data-case") == "0"
    page.select_option("#sort", "number")
    page.fill("#search", "AGE 25")
    assert page.locator(".card").get_attribute("data-case") == "5"


def test_cards_come_a_page_at_a_time(opened: Opened) -> None:
    page = opened()
    assert page.locator(".card").count() == 24
    page.click("#more")
    assert page.locator(".card").count() == 30
    assert not page.is_visible("#more")
    page.select_option("#sort", "best")
    assert page.locator(".card").count() == 24


def test_charts_show_every_case_and_follow_the_choice(opened: Opened) -> None:
    page = opened()
    differences, values = page.locator("#spread figure").all()
    assert differences.locator(".dot").count() == 30
    assert values.locator(".dot").count() == 60
    assert differences.locator(".zone").count() == 1
    page.select_option("#spread-metric", "psnr")
    assert page.locator("#spread figure").count() == 1
    assert page.locator("#looks .band").count() == 1
    assert page.locator("#looks .margin").count() == 1
    assert page.locator("#plane circle").count() == 2
    assert page.locator("#plane .span").count() == 4
    broken = page.evaluate(
        "[...document.querySelectorAll('svg *')].filter((e) => [...e.attributes]"
        ".some((a) => /NaN|undefined|Infinity/.test(a.value))).length"
    )
    assert broken == 0


def test_arrows_lead_from_case_to_case_and_the_focus_comes_back(opened: Opened) -> None:
    page = opened()
    page.select_option("#sort", "number")
    page.locator(".card").nth(3).click()
    assert "FaceNotFound" in page.inner_text("dialog")
    page.keyboard.press("ArrowRight")
    told = page.inner_text("dialog")
    assert "person 4" in told
    assert "two faces: the larger was taken" in told
    page.locator("dialog summary").nth(1).click()
    assert page.locator("dialog .downgrade").inner_text() == "16 steps: a long queue"
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.dataset.case === '4'")


def test_a_case_opens_to_all_there_is_and_closes_by_key(opened: Opened) -> None:
    page = opened()
    page.fill("#search", "age 24")
    page.locator(".card").focus()
    page.keyboard.press("Enter")
    told = page.inner_text("dialog")
    assert "portrait 4, glasses" in told
    assert "seed 4" in told
    assert page.locator("dialog td.wrong").count() == 2
    page.locator("dialog summary").first.click()
    assert "20 steps" in page.inner_text("dialog")
    page.keyboard.press("Escape")
    assert not page.is_visible("dialog")


def test_it_speaks_chinese_and_comes_back(opened: Opened) -> None:
    page = opened()
    page.click("#language")
    assert page.get_attribute("html", "lang") == "zh-CN"
    assert "更差" in page.inner_text("section.verdict")
    assert "身份相似度" in page.inner_text("table.figures >> nth=0")
    assert "逊于" in page.inner_text("section.verdict h2")
    page.locator(".card").first.click()
    assert "有" in page.locator("dialog table.text td").first.inner_text()
    page.keyboard.press("Escape")
    page.click("#language")
    assert "worse" in page.inner_text("section.verdict")
    assert "逊于" not in page.inner_text("section.verdict h2")
    assert "更差" in opened(locale="zh-CN").inner_text("section.verdict")


def test_it_is_dark_where_the_reader_is_and_when_told(opened: Opened) -> None:
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
    page.locator(".card").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelector('dialog').scrollWidth") <= 360


def test_without_scripts_verdict_and_figures_are_there(opened: Opened) -> None:
    page = opened(java_script_enabled=False)
    assert "worse" in page.inner_text("section.verdict")
    assert page.locator("table.figures svg.forest").count() == 5
    assert not page.is_visible("#live")


def test_hostile_names_are_text(opened: Opened) -> None:
    page = opened()
    page.fill("#search", "onerror")
    page.locator(".card").click()
    assert HOSTILE in page.inner_text("dialog h2")
    assert page.title() == "Four steps instead of twenty"
    assert page.locator("#config").inner_text().strip() == 'title = "</script>"'


def test_three_arms_have_a_verdict_each(opened: Opened, tmp_path: Path) -> None:
    page = opened(write_report(*make_run(tmp_path, 5, ("a", "b", "c")), tmp_path))
    assert page.locator("section.verdict").count() == 2
    page.select_option("#sort-arm", "2")
    assert page.locator(".card").count() == 5


def test_a_run_without_cases_still_says_what_it_is(opened: Opened, tmp_path: Path) -> None:
    result, _ = make_run(tmp_path, 1)
    page = opened(write_report(result, [], tmp_path))
    assert "no cases yet" in page.inner_text("#cases")


def test_two_hundred_cases_stay_small_and_are_soon_there(tmp_path: Path) -> None:
    run = make_run(tmp_path, 200, side=128)
    started = time.process_time()
    text = render_report(*run, tmp_path)
    assert time.process_time() - started < 5
    assert len(text.encode()) < 5e6
    assert text.count("data:image/webp") == 200 * 3 - 1  # but for the one that failed


def test_the_worst_cases_are_kept_where_few_may_be_shown(opened: Opened, tmp_path: Path) -> None:
    result, cases = make_run(tmp_path, 20)
    text = render_report(result, cases, tmp_path, most_cases=4)
    assert text.count("data:image/webp") == 4 * 3
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text)[0])
    assert [case["number"] for case in data["cases"]] == [5, 6, 12, 13]
    file = tmp_path / "few.html"
    file.write_text(text, encoding="utf-8")
    page = opened(file)
    assert "4 cases that lost most, of 20" in page.inner_text("#left-out")
    assert page.locator("#spread figure").first.locator(".dot").count() == 20


def test_one_photo_of_many_cases_is_there_once(tmp_path: Path) -> None:
    result, cases = make_run(tmp_path, 4)
    same = [case.model_copy(update={"photo": cases[0].photo}) for case in cases]
    assert render_report(result, same, tmp_path).count("data:image/webp") == 1 + 4 * 2 - 1


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    result, cases = make_run(tmp_path, 2)
    path = write_report(result, cases, tmp_path)
    before = path.read_bytes()
    wrong = cases[0].model_copy(update={"drawings": None})
    with pytest.raises(TypeError):
        write_report(result, [wrong], tmp_path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_nothing_may_be_fetched_or_evaluated(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    policy = re.findall(r'Content-Security-Policy" content="(.*?)"', text)[0]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert not re.findall(r"""(?:src|href)=["']?(?!data:|#|x )[\w/]""", text.split("<script")[0])


def test_a_picture_that_is_gone_leaves_the_report_whole(tmp_path: Path) -> None:
    result, cases = make_run(tmp_path, 4)
    (tmp_path / cases[0].photo).unlink()
    assert "<!doctype html>" in render_report(result, cases, tmp_path)


def test_every_word_is_there_in_both_languages() -> None:
    words = read_words(WORDS_FILE)
    assert words["en"].keys() == words["zh"].keys()
    assert all(words["zh"].values())
    empty = [key for key, said in words["en"].items() if not said and not key.startswith("note.")]
    assert not empty
