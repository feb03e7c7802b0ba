"""A hub on this machine with the tiny bundle in it, and an empty shelf."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models import Bundle, plan_pull, pull_bundle
from tests.models.pulling.hub import Hub, serving
from tests.models.pulling.public import publish

Pull = Callable[[], Bundle]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(monkeypatch) as hub:
        yield hub


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMNER_BUNDLES", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, not slept."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


@pytest.fixture
def manifest(hub: Hub, shelf: Path, naps: list[float], tiny_bundle: Path, tmp_path: Path) -> Path:
    """The description of the tiny bundle as it is published on the hub."""
    file = tmp_path / "public.toml"
    file.write_text(publish(tiny_bundle, hub), encoding="utf-8")
    return file


@pytest.fixture
def pull(manifest: Path) -> Pull:
    """Plan and fetch, the licences accepted."""
    return lambda: pull_bundle(plan_pull(manifest), licences_accepted=True)
