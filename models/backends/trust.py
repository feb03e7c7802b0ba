"""Whose engines may be loaded: an engine is code, so nobody else may have been able to write it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from models.errors import EngineRefused

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def check_trusted(root: Path, folder: Path | None = None) -> None:
    """Whether only this user and root could write a store, and an engine in it if one is given.

    Of POSIX owners and modes; elsewhere nothing is checked. Raises EngineRefused, and OSError where
    nothing lies there.
    """
    if os.name != "posix":
        return
    inside = () if folder is None else (folder, *sorted(folder.rglob("*")))
    within = False  # of a folder that others cannot enter
    for place in (root, *inside):
        found = place.stat()
        if reason := distrusted(found, os.geteuid(), within):
            raise EngineRefused(
                f"{place} {reason}, and an engine is code that would run: make it yours (chown, "
                f"chmod go-w), or set LIMNER_ENGINES to a folder that is"
            )
        within = within or (place in (root, folder) and not found.st_mode & _OTHERS)


def distrusted(found: os.stat_result, user: int, within: bool = False) -> str:
    """Why a file or folder may be another's work; "" where it may not.

    within: whether it lies in a folder that others cannot enter.
    """
    if found.st_uid not in (user, 0):
        return f"belongs to another user (uid {found.st_uid})"
    if not within and found.st_mode & _OTHERS_WRITE:
        return f"can be written by others (mode {stat.S_IMODE(found.st_mode):o})"
    return ""
