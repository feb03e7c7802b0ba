"""A month of books, written once, and a browser to look at their report with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browsing import chromium
from tests.eval.costs.sample_ledger import sample_ledger


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger of `sample_ledger`, in euros; to be read only."""
    return sample_ledger(tmp_path_factory.mktemp("books") / "month.db")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of a module alone: those after it have event loops of their own."""
    with chromium() as browser:
        yield browser
