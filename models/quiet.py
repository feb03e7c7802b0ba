"""Keeping libraries quiet where the user is owed one line, and only ours."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

# ONNX Runtime reports its use to its makers unless it is told not to before its import. Nothing is
# to leave the machine without its owner's wish: who wishes it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
TORCHAO_LOGGERS: Final = ("torchao", "torch.utils._pytree")
_LOADING = threading.Lock()
# Its alignment calls a constructor that scikit-image has deprecated, once for each face.
_ALIGNMENT = re.compile(r"insightface\.")


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within it, transformers and diffusers say only errors and draw no progress bars.

    Wrap their imports and loading calls in it; levels and bars are as before afterwards.
    """
    # The first import of these two modules is cheap; what they later import is not.
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (transformers_logging, diffusers_logging)
    levels = [library.get_verbosity() for library in libraries]
    bars = [library.is_progress_bar_enabled() for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with quiet_torchao():
            yield
    finally:
        for library, level, bar in zip(libraries, levels, bars, strict=True):
            library.set_verbosity(level)
            if bar:
                library.enable_progress_bar()


@contextlib.contextmanager
def quiet_torchao() -> Iterator[None]:
    """Within it torchao is imported without remarks about kernels for other machines than this."""
    loggers = [logging.getLogger(name) for name in TORCHAO_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Within it the first import of torchao, where it is installed, is not remarked upon: diffusers
    imports it wherever it finds it, and both warn of kernels for other machines than this.
    """
    if "torchao" in sys.modules or find_spec("torchao") is None:
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def quiet_insightface() -> Iterator[None]:
    """Within it InsightFace and ONNX Runtime load without their prints and deprecations.

    Standard output is redirected for the whole process, so one thread at a time is within.
    """
    with (
        _LOADING,
        _nothing_on_descriptor(1),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


@contextlib.contextmanager
def _nothing_on_descriptor(number: int) -> Iterator[None]:
    """Within it, what is written to the descriptor is lost: C libraries know no sys.stdout."""
    try:
        kept = os.dup(number)
    except OSError:  # closed: there is nothing to protect
        yield
        return
    try:
        _flush_everything()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
        yield
    finally:
        _flush_c()  # what C still holds belongs to what happened within
        os.dup2(kept, number)
        os.close(kept)


def _flush_everything() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    _flush_c()


def _flush_c() -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library by that name
        ctypes.CDLL(None).fflush(None)


def ignore_insightface_deprecations() -> None:
    """From now on no FutureWarning of InsightFace's own modules is shown.

    A filter that stays: putting the old ones back, as `catch_warnings` does, would undo what
    another thread has set meanwhile.
    """
    if ("ignore", None, FutureWarning, _ALIGNMENT, 0) not in warnings.filters[:1]:
        warnings.filterwarnings("ignore", category=FutureWarning, module=_ALIGNMENT.pattern)
