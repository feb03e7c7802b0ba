"""The page as a person uses it: a real browser, a real server, the bundle that ships."""

import io
import json
import re
import time
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, expect

from tests.serving.page.conftest import Look
from tests.serving.processes import ServerProcess


def upload(page: Page, place: str, photo: Path) -> None:
    """Put a photo into a tile and wait until it is seen there."""
    page.set_input_files(f"#{place} input[type=file]", photo)
    page.wait_for_selector(f"#{place} img")


def painted(page: Page) -> None:
    """Press Paint and wait for the account of the result."""
    account = page.locator("#account .lm-account")
    before = account.get_attribute("data-portrait") if account.count() else ""
    page.click("#paint")
    page.wait_for_selector(f'#account .lm-account:not([data-portrait="{before}"])')
    page.wait_for_selector("#paint", state="visible")


def choose(page: Page, attribute: str, name: str) -> None:
    """Choose a value in an attribute's list by its name."""
    page.click(f"#attribute-{attribute} input")
    page.get_by_role("option", name=name, exact=True).click()


def test_a_portrait_from_photo_to_download(look: Look, drawn_photo: Path, tmp_path: Path) -> None:
    page = look()
    upload(page, "photo-1", drawn_photo)
    choose(page, "age", "60")
    choose(page, "background", "Beach")
    page.click("#attribute-glasses label:has-text('Yes')")
    page.fill("#words textarea", "a very beautiful masterpiece of a smiling person, no hat")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("beach background")
    expect(plan).to_contain_text("smiling")
    expect(plan).to_contain_text("not wanted")
    expect(plan).to_contain_text(re.compile(r"\d+ tokens.*instead of \d+"))

    painted(page)
    account = page.locator("#account")
    expect(account).to_contain_text("128 × 128")
    cosine = float(account.locator(".lm-like").first.get_attribute("data-cosine") or 0)
    assert 0.2 < cosine <= 1, "the portrait is of the person"
    figures = account.locator(".lm-figure")
    assert figures.count() == 7
    expect(figures.filter(has_text="tokens")).to_contain_text("instead of")
    expect(account).to_contain_text("Time by stage")

    with page.expect_download() as downloading:
        page.click("#download")
    file = tmp_path / "out.png"
    downloading.value.save_as(file)
    picture = Image.open(io.BytesIO(file.read_bytes()))
    assert picture.size == (128, 128)
    assert picture.info["Limner"] == "AI-generated"
    said = json.loads(picture.info["Limner parameters"])
    assert "beach background" in said["prompt"]

    # The picture that is seen is the one that is downloaded.
    shown = page.locator("#picture img").get_attribute("src")
    assert shown is not None
    assert page.request.get(shown).body() == file.read_bytes()

    page.get_by_role("tab", name="Before and after").click()
    expect(page.locator("#compare img").first).to_be_visible()


def test_the_same_seed_again_gives_the_same_picture(look: Look, drawn_photo: Path) -> None:
    page = look()
    upload(page, "photo-1", drawn_photo)
    painted(page)
    first = page.request.get(page.locator("#picture img").get_attribute("src") or "").body()
    page.click("#same-seed")
    expect(page.locator("#seed-number input")).to_be_visible()
    painted(page)
    expect(page.locator("#history img")).to_have_count(2)
    again = page.request.get(page.locator("#picture img").get_attribute("src") or "").body()
    assert pixels(first) == pixels(again)
    expect(page.locator("#account")).to_contain_text("more reused")


def pixels(data: bytes) -> bytes:
    """What is seen of a picture."""
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def test_several_people_and_a_target(look: Look) -> None:
    page = look()
    page.click("#drawn-people")
    page.wait_for_selector("#photo-2 img")
    page.fill("#weight-1 input[type=range]", "75")
    page.fill("#weight-2 input[type=range]", "25")
    expect(page.locator(".lm-shares")).to_have_attribute(
        "aria-label", "Person 1 75 %, Person 2 25 %"
    )
    page.click("#drawn-target")
    page.wait_for_selector("#target-photo img")
    expect(page.locator("#strength")).to_be_visible()
    painted(page)
    expect(page.locator("#account .lm-like")).to_have_count(3)  # two, and the blend
    expect(page.locator("#account")).to_contain_text("512 × 512")
    expect(page.locator("#account")).to_contain_text("Given less than asked")
    page.click("#remove-1")
    expect(page.locator("#person-2")).to_be_hidden()
    expect(page.locator("#photo-1 img")).to_be_visible()


def test_the_language_is_switched_on_the_page(look: Look, drawn_photo: Path) -> None:
    page = look()
    upload(page, "photo-1", drawn_photo)
    choose(page, "hair", "Black")
    page.click("#language")
    expect(page.locator("#paint")).to_have_text("开始绘制")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#attribute-hair input")).to_have_value("黑色")
    expect(page.locator("#photo-1 img")).to_be_visible()  # nothing is lost by it
    page.fill("#words textarea", "一位戴眼镜的老人，杰作，超高清")
    expect(page.locator("#plan")).to_contain_text("glasses")
    expect(page.locator("#plan")).to_contain_text("节省")
    painted(page)
    expect(page.locator("#account")).to_contain_text("相似度")
    page.reload()
    expect(page.locator("#paint")).to_have_text("开始绘制")


def test_a_photo_without_a_face_is_told_calmly(look: Look, no_face: Path) -> None:
    page = look()
    upload(page, "photo-1", no_face)
    page.click("#paint")
    notice = page.locator(".lm-easel.told")
    expect(notice).to_have_attribute("data-code", "no_face_detected")
    expect(notice).to_contain_text("No face found")
    expect(notice).to_contain_text("Use a picture in which")
    assert "Traceback" not in page.content()
    expect(page.locator("#paint")).to_be_visible()


def test_a_file_that_is_no_picture_is_told_as_calmly(look: Look, tmp_path: Path) -> None:
    file = tmp_path / "letter.png"
    file.write_bytes(b"%PDF-1.4 a letter")
    page = look()
    page.set_input_files("#photo-1 input[type=file]", file)
    page.wait_for_selector("#photo-1 img", state="attached")
    page.click("#paint")
    notice = page.locator(".lm-easel.told")
    expect(notice).to_have_attribute("data-code", "image_rejected")
    expect(notice).to_contain_text("cannot be used")


def test_one_of_several_faces_is_chosen(look: Look, two_faces: Path) -> None:
    page = look()
    upload(page, "photo-1", two_faces)
    page.click("#paint")
    expect(page.locator(".lm-faces rect")).to_have_count(2)
    page.click("#face-1 label:has-text('2')")
    painted(page)
    expect(page.locator("#account .lm-like")).to_have_count(1)


def test_a_portrait_is_stopped(look: Look, page_server: ServerProcess) -> None:
    page = look()
    page.click("#advanced button.label-wrap")
    page.click("#steps label:has-text('A number')")
    page.fill("#steps_number input[type=range]", "60")
    page.click("#count label:has-text('4')")
    page.click("#paint")
    page.wait_for_selector(".lm-progress:has-text('step')")
    page.click("#stop")
    expect(page.locator("#easel")).to_contain_text("Stopped")
    expect(page.locator("#paint")).to_be_visible()


def test_who_closes_the_page_cancels_what_it_paints(look: Look, page_server: ServerProcess) -> None:
    page = look()
    page.click("#advanced button.label-wrap")
    page.click("#steps label:has-text('A number')")
    page.fill("#steps_number input[type=range]", "60")
    page.click("#count label:has-text('4')")
    page.click("#paint")
    page.wait_for_selector(".lm-progress:has-text('step')")
    page.close()
    deadline = time.monotonic() + 20
    with page_server.client() as client:
        while (status := client.get("/v1/portraits").json()["data"][0]["status"]) == "running":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert status == "cancelled"


def test_each_picture_and_those_before_can_be_looked_at(look: Look) -> None:
    page = look()
    page.click("#advanced button.label-wrap")
    page.click("#count label:has-text('3')")
    painted(page)
    first = page.inner_text(".lm-facts")
    page.locator("#pictures .thumbnail-item").nth(2).click()
    expect(page.locator(".lm-facts")).not_to_have_text(first)
    page.click("#count label:has-text('1')")
    painted(page)
    expect(page.locator("#pictures")).to_be_hidden()
    page.locator("#history .thumbnail-item").nth(1).click()
    expect(page.locator("#pictures img")).to_have_count(3)
    assert page.inner_text(".lm-facts") == first


def test_a_key_that_is_no_longer_valid_leads_to_the_door(look: Look) -> None:
    page = look()
    page.context.clear_cookies()
    page.click("#paint")
    page.wait_for_selector("#key")


def test_a_look_fills_the_attributes_and_clearing_opens_them(look: Look) -> None:
    page = look()
    page.click("#look-winter")
    expect(page.locator("#attribute-clothing input")).to_have_value("Teal")
    expect(page.locator("#plan")).to_contain_text("teal shirt")
    page.click("#clear-look")
    expect(page.locator("#attribute-clothing input")).to_have_value("Any")
    expect(page.locator("#plan")).to_contain_text("Choose or write something")


def test_words_that_contradict_are_told_before_painting(look: Look) -> None:
    page = look()
    page.click("#more button.label-wrap")
    page.fill("#attribute-exclude textarea, #attribute-exclude input", "glasses")
    page.click("#attribute-glasses label:has-text('Yes')")
    expect(page.locator("#plan")).to_contain_text("Two wishes contradict each other")
    page.click("#attribute-glasses label:has-text('Any')")
    expect(page.locator("#plan")).to_contain_text("not wanted glasses")


def test_the_page_fits_a_phone(look: Look) -> None:
    page = look(width=400, height=850, dark=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.evaluate("document.body.classList.contains('dark')")
    page.click("#theme")
    assert not page.evaluate("document.body.classList.contains('dark')")
    page.click("#paint")
    page.wait_for_selector("#account .lm-account")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_door_is_shut(look: Look, page_server: ServerProcess) -> None:
    for path in ("/page/", "/page/config", "/page/gradio_api/info", "/page/assets/index.js"):
        answer = httpx.get(page_server.url + path)
        assert answer.status_code == 303
        assert answer.headers["location"].endswith("/page/login")
    page = look(path="/page")
    page.fill("#key", "lim_of_nobody")
    page.click("button")
    expect(page.get_by_role("alert")).to_be_visible()
    page.fill("#key", page_server.key)
    page.click("button")
    page.wait_for_selector("#paint")
    assert page_server.key not in page.url
    assert page_server.key not in page.content()
    assert "limner_key" not in page.evaluate("document.cookie")
    page.click("text=Sign out")
    page.wait_for_selector("#key")
