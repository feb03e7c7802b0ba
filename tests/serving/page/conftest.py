"""A server with its page, as a user starts it, and a browser to look at it with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browsing import chromium
from tests.serving.processes import ServerProcess

Look = Callable[..., Page]


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`limner serve --page`, in a process of its own: Gradio wants its own environment."""
    server = ServerProcess(tmp_path_factory.mktemp("page"), "--page").start()
    yield server
    server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of this module alone: those after it have event loops of their own."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def look(browser: Browser, page_server: ServerProcess) -> Iterator[Look]:
    """Opens the page as a new visitor with a key; fails where anything is asked of elsewhere."""
    contexts, strays = [], []

    def opened(
        locale: str = "en-US", width: int = 1400, height: int = 1000, dark: bool = False,
        path: str | None = None,
    ) -> Page:  # fmt: skip
        context = browser.new_context(
            locale=locale,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        at_home = (page_server.url, "data:", "blob:")
        page.on(
            "request", lambda request: request.url.startswith(at_home) or strays.append(request.url)
        )
        page.goto(page_server.url + (f"/page?key={page_server.key}" if path is None else path))
        if path is None:
            page.wait_for_selector("#paint")
            page.wait_for_selector("html:not(.limner-waiting)")
            page.wait_for_selector(".lm-bundle")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not strays, "the page asked elsewhere"


@pytest.fixture(scope="session")
def drawn_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of a drawn person."""
    from serving.page.examples import drawn_portraits

    file = tmp_path_factory.mktemp("photos") / "person.png"
    file.write_bytes(drawn_portraits(1, seed=11)[0])
    return file


@pytest.fixture(scope="session")
def two_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of two drawn people beside each other."""
    import io

    from PIL import Image

    from serving.page.examples import drawn_portraits

    both = Image.new("RGB", (1024, 512))
    for place, data in enumerate(drawn_portraits(2, seed=12)):
        both.paste(Image.open(io.BytesIO(data)), (512 * place, 0))
    file = tmp_path_factory.mktemp("photos") / "two.png"
    both.save(file)
    return file


@pytest.fixture(scope="session")
def no_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of nothing."""
    from PIL import Image

    file = tmp_path_factory.mktemp("photos") / "nothing.png"
    Image.effect_noise((256, 256), 60).convert("RGB").save(file)
    return file
