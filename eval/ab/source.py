"""Which code made a result: its version and commit."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def code_version() -> str:
    """The installed version; "source" where nothing is installed."""
    try:
        return version("limner")
    except PackageNotFoundError:
        return "source"


def code_commit() -> str:
    """The commit of the source tree, with a mark where it was changed; "" where there is none."""
    root = Path(__file__).resolve().parent.parent.parent
    try:
        asked = [
            subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, check=True,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"}, timeout=20,
            ).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        ]  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked[0] + (" (changed)" if asked[1] else "")
