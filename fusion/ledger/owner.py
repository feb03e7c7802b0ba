"""Which process reserved a request, and whether it is gone."""

from __future__ import annotations

import os
import socket
from functools import cache
from typing import Final

import psutil

_SIGN: Final = "process"


def this_process() -> str:
    """A name that no other process has, on any machine; a process forked off has its own."""
    return _named(os.getpid())


def is_gone(owner: str) -> bool:
    """Whether it is known that this process has ended; never of another machine's."""
    parts = owner.split(" ", 3)
    if len(parts) != 4 or parts[0] != _SIGN or parts[3] != _place():
        return False
    try:
        created = psutil.Process(int(parts[1])).create_time()
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, ValueError):
        return False
    return abs(int(created * 1000) - int(parts[2])) > 1000


@cache
def _named(process: int) -> str:
    created = int(psutil.Process(process).create_time() * 1000)
    return f"{_SIGN} {process} {created} {_place()}"


def _place() -> str:
    """Where process numbers mean the same: this machine, and this container on it."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()[:60]} {space}"
