"""Multipart forms as OpenAI's SDK writes them: scalars as strings, `key[sub]`, `key[]`, files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from serving.errors import ApiError, BadRequest

FILE_FIELDS: Final = ("image", "mask")
MAX_FILES: Final = 17  # sixteen pictures and a mask
MAX_FIELDS: Final = 200
_KEY: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:\[[^\[\]]*\])*)")
_LISTS: Final = ("image_roles", "weights", "guidance_interval")
_TEXTS: Final = ("prompt", "negative_prompt", "model", "user", "safety_identifier", "size")
_DEEPEST: Final = 4


@dataclass(frozen=True)
class Files:
    """The pictures of an edit, and its mask."""

    images: list[bytes]
    mask: bytes | None


async def read_form(request: Request, picture_bytes: int) -> tuple[dict[str, object], Files]:
    """The fields as JSON would have them, and the files. Raises BadRequest."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise BadRequest(
            "invalid_request", "an edit is sent as multipart/form-data, with image and prompt"
        )
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=2 << 20)
    except HTTPException as error:
        if isinstance(error.__cause__, ApiError):
            raise error.__cause__ from error
        raise BadRequest("invalid_request", f"the form cannot be read: {error.detail}") from error
    try:
        files: dict[str, list[bytes]] = {name: [] for name in FILE_FIELDS}
        fields: list[tuple[str, str]] = []
        for key, value in form.multi_items():
            if isinstance(value, UploadFile):
                name = key.removesuffix("[]")
                if name not in files:
                    raise BadRequest(
                        "invalid_request", f"{key[:64]!r} is no file field: send image, mask"
                    )
                # A byte more than is taken: so that too large is told from just so.
                files[name].append(await value.read(picture_bytes + 1))
            else:
                fields.append((key, value))
    finally:
        await form.close()
    if len(files["mask"]) > 1:
        raise BadRequest("invalid_request", "there can be one mask only", param="mask")
    return unflattened(fields), Files(files["image"], next(iter(files["mask"]), None))


def unflattened(fields: Iterable[tuple[str, str]]) -> dict[str, object]:
    """`attributes[age]=35` and `weights[]=0.7` as the dict and the list they were.

    Numbers and truth values inside brackets are read as such; a field that begins like a JSON
    object or list is read as JSON. Raises BadRequest.
    """
    result: dict[str, object] = {}
    for key, value in fields:
        found = _KEY.fullmatch(key)
        if found is None:
            raise BadRequest("invalid_request", f"{key[:64]!r} is no field of a request")
        name, path = found[1], re.findall(r"\[([^\[\]]*)\]", found[2])
        if len(path) > _DEEPEST:
            raise BadRequest("invalid_request", f"{name} goes too deep", param=name)
        if not path:
            if name in result:
                raise BadRequest("invalid_request", f"{name} is given twice", param=name)
            result[name] = _plain(name, value)
            if name in _LISTS and not isinstance(result[name], list):
                result[name] = [result[name]]
        elif path == [""]:
            held = result.setdefault(name, [])
            if not isinstance(held, list):
                raise BadRequest("invalid_request", f"{name} is given in two ways", param=name)
            held.append(_scalar(value))
        else:
            _put(result, name, path, _scalar(value))
    return result


def _put(result: dict[str, object], name: str, path: list[str], value: object) -> None:
    """Lay a value where its brackets say: `attributes[age]`, `attributes[wearing][]`."""
    listed = path[-1] == ""
    steps, last = (path[:-2], path[-2]) if listed else (path[:-1], path[-1])
    held: object = result.setdefault(name, {})
    for step in steps:
        held = held.setdefault(step, {}) if isinstance(held, dict) and step else None
    if isinstance(held, dict) and last:
        if listed:
            values = held.setdefault(last, [])
            if isinstance(values, list):
                values.append(value)
                return
        elif last not in held:
            held[last] = value
            return
    raise BadRequest(
        "invalid_request",
        f"{name} is given in two ways: send it as JSON, such as {name}={{...}}",
        param=name,
    )


def _plain(name: str, value: str) -> object:
    """A field without brackets: words stay words, whatever they look like."""
    if name in _TEXTS:
        return value
    if value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadRequest(
                "invalid_request", f"{name} begins like JSON and is none", param=name
            ) from error
    return _scalar(value)


def _scalar(value: str) -> object:
    if value in ("true", "false"):
        return value == "true"
    if value == "":
        return None
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", value):
        return int(value)
    if re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", value):
        return float(value)
    return value
