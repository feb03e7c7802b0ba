"""What was fetched made what a bundle holds: members of zips, tensors out of torch's pickles."""

from __future__ import annotations

import errno
import os
import pickle
import re
import stat
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from models.errors import SourceRejected

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK_BYTES = 1 << 20
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_SINGLE_FILE = "model.diffusion_model."  # how a checkpoint in one file calls its denoiser


def extract(archive: Path, member: str, size: int | None, file: Path) -> None:
    """Write one member of a zip to `file`; a member's own name is never used as a path.

    size: in bytes, as far as it is known. Raises SourceRejected.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            info = _member(opened, member, archive)
            if size is not None and info.file_size != size:
                raise SourceRejected(
                    f"{archive.name}: {info.filename} has {info.file_size} bytes, expected {size}; "
                    "correct the description, or name another archive"
                )
            with opened.open(info) as source, file.open("wb") as target:
                while piece := source.read(_CHUNK_BYTES):
                    target.write(piece)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise SourceRejected(f"{archive.name} is no zip that can be read: {error}") from error


def _member(opened: zipfile.ZipFile, name: str, archive: Path) -> zipfile.ZipInfo:
    infos = [info for info in opened.infolist() if not info.is_dir()]
    exact = [info for info in infos if info.filename == name]
    # Packs are zipped with a folder around them, and without.
    within = exact or [info for info in infos if info.filename.endswith(f"/{name}")]
    if len(within) != 1:
        known = ", ".join(info.filename for info in infos[:6]) or "nothing"
        raise SourceRejected(
            f"{archive.name} has {len(within)} members {name!r}, expected one; it has {known}"
        )
    (info,) = within
    path = PurePosixPath(info.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
        raise SourceRejected(f"{archive.name}: {info.filename!r} leads out of it; do not use it")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise SourceRejected(f"{archive.name}: {info.filename} is a link; do not use it")
    return info


def convert(torch_file: Path, file: Path, name: str) -> None:
    """Write the tensors of a torch file as safetensors, nested dicts by dotted keys.

    Nothing in the file is executed. name: what to call it. Raises SourceRejected.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with warnings.catch_warnings(action="ignore"):  # of strange pickles; they are refused
            loaded = torch.load(torch_file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = _GLOBAL.search(str(error))
        what = f"calls {found[1]}" if found else "holds more than tensors"
        raise SourceRejected(
            f"{name} {what}, so it could run code; it was not opened: take safetensors instead"
        ) from error
    except Exception as error:  # a damaged file makes torch raise anything
        reason = " ".join(str(error).split())[:200]
        raise SourceRejected(f"{name} is no torch file of tensors: {reason}") from error
    tensors = {key: tensor.contiguous().clone() for key, tensor in _flat(loaded, "", name)}
    if not tensors:
        raise SourceRejected(f"{name} holds no tensor; name another file")
    try:
        save_file(tensors, file)
    except SafetensorError as error:  # safetensors writes by itself and tells of the disk in words
        code = errno.ENOSPC if "os error 28" in str(error) else errno.EIO
        raise OSError(code, os.strerror(code), str(file)) from error


def _flat(value: object, prefix: str, name: str) -> Iterator[tuple[str, Tensor]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key), name)
    else:
        raise SourceRejected(
            f"{name}: {prefix or 'it'} is {type(value).__name__}, expected tensors in dicts"
        )


def check_safetensors(file: Path, name: str) -> None:
    """Prove that a safetensors file is whole by its header, without reading its weights.

    Raises SourceRejected, also for a checkpoint in a single file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            keys = list(opened.keys())
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceRejected(f"{name} is no whole safetensors file: {reason}") from error
    if any(key.startswith(_SINGLE_FILE) for key in keys):
        raise SourceRejected(
            f"{name} is a checkpoint in a single file; convert it with diffusers: "
            "StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER), then say "
            "folder = FOLDER"
        )
