"""Where pictures lie while a visitor looks at them: nobody else's to read, and never for long."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

_NAME: Final = re.compile(r"limner-page-(\d+)-")
_LOOKED_AFTER_SECONDS: Final = 600.0
KEPT_SECONDS: Final = 4 * 3600.0


def new_folder(parent: Path | None = None) -> Path:
    """An empty folder of this process's own (mode 700); those of processes that died are removed.

    parent: the machine's folder for temporary files unless given.
    """
    place = parent or Path(tempfile.gettempdir())
    for left in place.glob("limner-page-*"):
        owner = _NAME.match(left.name)
        with suppress(OSError):
            is_ours = left.stat().st_uid == os.getuid() and not left.is_symlink()
            if owner and is_ours and not psutil.pid_exists(int(owner[1])):
                shutil.rmtree(left)
    return Path(tempfile.mkdtemp(prefix=f"limner-page-{os.getpid()}-", dir=place))


def sweep(folder: Path, kept_seconds: float = KEPT_SECONDS) -> None:
    """Forget every file that is older, and folders that are empty then."""
    oldest = time.time() - kept_seconds
    for file in sorted(folder.rglob("*"), reverse=True):  # what is within comes first
        with suppress(OSError):
            if file.lstat().st_ctime >= oldest:
                continue  # a folder that is empty now may be about to be filled
            if file.is_dir() and not file.is_symlink():
                file.rmdir()  # refused where something is in it
            else:
                file.unlink()


@asynccontextmanager
async def looked_after(folder: Path) -> AsyncIterator[None]:
    """Sweep the folder now and then; remove it in the end."""

    async def sweeping() -> None:
        while True:
            await asyncio.sleep(_LOOKED_AFTER_SECONDS)
            await asyncio.to_thread(sweep, folder)

    task = asyncio.create_task(sweeping())
    try:
        yield
    finally:
        task.cancel()
        shutil.rmtree(folder, ignore_errors=True)
