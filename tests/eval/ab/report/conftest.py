"""A browser to look at reports with."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browsing import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of this module alone: those after it have event loops of their own."""
    with chromium() as browser:
        yield browser
