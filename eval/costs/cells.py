"""Cells of CSV files, which people open in spreadsheets."""

from __future__ import annotations

from typing import Final

_SPREADSHEETS_READ: Final = ("=", "+", "-", "@", "\t", "\r")  # as the beginning of a formula


def harmless(value: object) -> object:
    """A name that a spreadsheet would run is quoted; numbers are left alone."""
    if isinstance(value, str) and value.startswith(_SPREADSHEETS_READ):
        try:
            float(value)
        except ValueError:
            return f"'{value}"
    return value
