"""Every failure becomes one line and an exit code; no traceback reaches a user."""

import unicodedata
from dataclasses import dataclass

import typer

_HOUSE = frozenset(
    ["cli", "serving", "eval", "training", "fusion", "models", "world", "prompting", "cache"]
)


class OptionRejected(ValueError):
    """An option cannot be understood or does not fit the others."""


class MeasurementFailed(ValueError):
    """A process that was to measure something came to no figure."""


class OutputRejected(ValueError):
    """The place asked for cannot take the result; found before anything is loaded."""


@dataclass(frozen=True)
class Failure:
    """What the user is told: one line (empty when all is said already) and the exit code."""

    line: str
    exit_code: int


def explain(error: Exception) -> Failure:
    """The words and the exit code of an exception: 2 for bad input, 1 for a fault of ours."""
    if isinstance(error, typer.Exit):
        return Failure("", error.exit_code)
    if isinstance(error, typer.Abort):
        return Failure("stopped", 130)
    if isinstance(error, typer.TyperException):
        return Failure(_usage(error), 2)
    if isinstance(error, ValueError) and _is_ours(error):
        return Failure(_one_line(str(error)), 2)
    if isinstance(error, ValueError) and hasattr(error, "errors"):
        return Failure(_validation(error), 2)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Failure(_one_line(f"{where}{error.strerror or error}"), 2)
    words = _one_line(str(error)) or "no message"
    return Failure(
        f"something broke that should not: {type(error).__name__}: {words} "
        "(LIMNER_DEBUG=1 shows where; please report it)",
        1,
    )


def _is_ours(error: Exception) -> bool:
    return any(kind.__module__.partition(".")[0] in _HOUSE for kind in type(error).__mro__)


def _usage(error: typer.TyperException) -> str:
    message = getattr(error, "format_message", error.__str__)()
    if not message:  # the help was printed in its place
        return ""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "limner"
    return _one_line(f"{message.rstrip('.')}. Try: {command} --help")


def _validation(error: ValueError) -> str:
    """pydantic's list of errors as one line: where, what, and what was given."""
    parts = []
    for item in error.errors():  # type: ignore[attr-defined]  # pydantic is not imported for this
        where = ".".join(str(step) for step in item["loc"]) or "request"
        parts.append(f"{where}: {item['msg']}")
    return _one_line("; ".join(parts))


def without_controls(text: str) -> str:
    """A text that cannot steer a terminal: control characters but line ends become spaces."""
    return "".join(
        " " if unicodedata.category(sign) == "Cc" and sign != "\n" else sign for sign in text
    )


def _one_line(text: str) -> str:
    return " ".join(without_controls(text).split())
