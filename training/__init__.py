"""Recipes of the mini bundle and its judges: one readable file per model, one loop, one config."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mini import train_mini

__all__ = ["train_mini"]


def __getattr__(name: str) -> object:
    if name == "train_mini":  # torch and diffusers take seconds to import
        from .mini import train_mini

        return train_mini
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
