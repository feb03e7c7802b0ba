"""Which process reserved a request, and whether it is gone."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
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
        return _began(int(parts[1])) != parts[2]
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, ValueError):
        return False


@cache
def _named(process: int) -> str:
    return f"{_SIGN} {process} {_began(process)} {_place()}"


def _began(process: int) -> str:
    """When a process began. On Linux by the kernel's own count since it was booted: by the clock,
    which may be set anew meanwhile, it would seem to have begun at another time.
    """
    if not psutil.LINUX:
        return str(int(psutil.Process(process).create_time() * 1000))
    try:
        said = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(process) from error
    except PermissionError as error:
        raise psutil.AccessDenied(process) from error
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    return f"{boot[:8]}-{said.rpartition(')')[2].split()[19]}"  # field 22; names may hold anything


def _place() -> str:
    """Where process numbers mean the same: this machine, and this container on it."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()[:60]} {space}"
