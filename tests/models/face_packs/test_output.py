"""Nothing that a library writes while it loads comes out among ours."""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models import FaceAnalyser, find_face_pack


class TestStandardOutput:
    def test_neither_loading_nor_analysing_writes_to_it(
        self, sources: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        analyser = FaceAnalyser.of_pack(find_face_pack(sources), device="cpu")
        analyser.load()
        assert analyser.analyse(np.full((256, 256, 3), 200, np.uint8))
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("write", ["python", "descriptor", "c"])
    def test_what_a_library_writes_while_it_loads_is_kept_out_of_ours(
        self,
        sources: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        write: str,
    ) -> None:
        """A C library's text waits in its own buffer, and came out in the middle of our JSON."""
        import insightface.model_zoo

        writers: dict[str, Callable[[], object]] = {
            "python": lambda: print("find model"),
            "descriptor": lambda: os.write(1, b"find model"),
            "c": lambda: ctypes.CDLL(None).printf(b"find model"),
        }
        as_before = insightface.model_zoo.get_model

        def chatty(*arguments: object, **options: object) -> object:
            writers[write]()
            return as_before(*arguments, **options)

        monkeypatch.setattr(insightface.model_zoo, "get_model", chatty)
        sys.stdout.write("{")
        FaceAnalyser.of_pack(find_face_pack(sources), device="cpu").load()
        print("}", flush=True)
        ctypes.CDLL(None).fflush(None)
        assert capfd.readouterr().out == "{}\n"
