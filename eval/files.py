"""Files that eval keeps: written whole or not at all, and told in a line where they are wrong."""

from pathlib import Path

from pydantic import ValidationError


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file so that it is there whole, or not at all; its folder is made. Gives its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    draft.replace(path)
    return path


def complaint(error: ValidationError) -> str:
    """The first of pydantic's complaints in a line: where, and what."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    cause = first.get("ctx", {}).get("error")
    what = str(cause) if cause is not None else first["msg"]
    return f"{where}: {what}" if where else what
