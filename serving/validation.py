"""pydantic's complaints, said in one line of OpenAI's error shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from serving.errors import ApiError, BadRequest

_LEFT_OUT = ("body", "query", "path", "header")
_BRANCH = re.compile(r"bool|int|float|str|none|.*[\[-].*")


def first_problem(problems: Sequence[Mapping[str, Any]]) -> ApiError:
    """The answer to a request that does not fit its model: the first problem, and where it is."""
    first = problems[0]
    place = [str(part) for part in first["loc"] if part not in _LEFT_OUT]
    # pydantic names the branches of a union too; only what a client wrote is of use to it.
    where = ".".join(part for part in place if not _BRANCH.fullmatch(part))
    cause = first.get("ctx", {}).get("error") if isinstance(first.get("ctx"), Mapping) else None
    said = str(cause) if cause is not None else str(first["msg"])
    if where.startswith("attributes."):
        said = "a value is text, a whole number, true, false, or a list of texts, none of them long"
    elif where == "steps":
        said = 'give a whole number from 1, "auto" or "few"'
    if first["type"] == "extra_forbidden":
        return BadRequest("unknown_parameter", f"{where} is not known here", param=where)
    if first["type"] == "missing":
        return BadRequest("missing_parameter", f"{where or 'the body'} is missing", param=where)
    if first["type"] == "json_invalid":
        return BadRequest("invalid_json", "the body is not JSON: check it, and its encoding")
    if not where and first["type"] in ("model_attributes_type", "model_type", "dict_type"):
        return BadRequest(
            "invalid_request",
            "the body is a JSON object, sent with Content-Type: application/json",
        )
    if first["type"] == "string_unicode":
        said = "text must be Unicode, without halves of surrogates"
    return BadRequest("invalid_request", f"{where}: {said}" if where else said, param=where or None)
