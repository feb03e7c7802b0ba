"""A price table to begin with."""

from __future__ import annotations

from pathlib import Path


def prices_example() -> str:
    """A price table as people write it, every setting explained."""
    return Path(__file__).with_name("prices.toml").read_text(encoding="utf-8")
