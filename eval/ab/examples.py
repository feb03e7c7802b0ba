"""Texts to begin with: a config that explains every setting, a suite of photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from eval.ab.suite import template


def ab_example(kind: Literal["config", "suite"] = "config") -> str:
    """The text of a TOML file to begin with."""
    if kind == "suite":
        return template()
    return Path(__file__).with_name("example.toml").read_text(encoding="utf-8")
