"""Libraries are quiet while they load, and as they were afterwards; errors are all of one tree."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from models import ModelsError, errors, quiet_libraries


def state() -> tuple[object, ...]:
    libraries = (diffusers_logging, transformers_logging)
    return tuple((x.get_verbosity(), x.is_progress_bar_enabled()) for x in libraries)


def test_levels_and_bars_come_back_even_after_an_error() -> None:
    before = state()
    inside = []

    def fail() -> None:
        with quiet_libraries():
            inside.append(state())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert state() == before != inside[0]


def test_quiet_within_quiet() -> None:
    before = state()
    with quiet_libraries():
        inside = state()
        with quiet_libraries():
            pass
        assert state() == inside
    assert state() == before


def test_every_error_is_of_the_tree_and_in_its_drawing() -> None:
    found = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
    assert len(found) > 8
    for error in found:
        assert issubclass(error, ModelsError)
        assert issubclass(error, ValueError)
        assert error.__name__ in (errors.__doc__ or "")


def test_onnx_runtime_keeps_no_record_for_its_makers(mini_bundle: Path, tmp_path: Path) -> None:
    """Since 1.32 it writes down its use under the home folder, and sends it off."""
    code = (
        "import sys; from models import FaceAnalyser, open_bundle; import numpy;"
        "analyser = FaceAnalyser(open_bundle(sys.argv[1]), 'cpu');"
        "analyser.analyse(numpy.zeros((64, 64, 3), 'uint8'))"
    )
    kept = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    environment = kept | {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(mini_bundle)]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))
