"""A whole pack of little networks, a copy of it to spoil, and a home of its own for every test."""

import shutil
from pathlib import Path

import pytest

from tests.models.packs import recogniser, save, shaped
from tests.tiny import tiny_detector


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole pack, with everything that lies in buffalo_l."""
    folder = tmp_path_factory.mktemp("packs") / "small"
    save(tiny_detector(), folder / "det.onnx")
    save(recogniser(), folder / "rec.onnx")
    save(shaped({"data": [1, 3, 192, 192]}, {"fc1": [1, 212]}), folder / "2d106det.onnx")
    save(shaped({"data": ["n", 3, 96, 96]}, {"fc1": [1, 3]}), folder / "genderage.onnx")
    swapper = shaped({"target": [1, 3, 128, 128], "source": [1, 512]}, {"o": [1, 3, 128, 128]})
    save(swapper, folder / "inswapper_128.onnx")
    return folder


@pytest.fixture
def folder(sources: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(sources, tmp_path / "small"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("INSIGHTFACE_HOME", raising=False)
    return tmp_path / "home"
