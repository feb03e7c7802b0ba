"""python -m training: the same as `limner train-mini`, for machines without the command."""

from __future__ import annotations

import argparse
from pathlib import Path

from .config import PRESETS
from .mini import train_mini
from .stages import STAGES


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(prog="python -m training", description=train_mini.__doc__)
    parser.add_argument("--only", choices=list(STAGES), help="one stage")
    parser.add_argument("--minutes", type=float, help="budget of the stage, or of all")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--size", type=int, choices=[64, 128, 256], help="pixels of a side")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--output", type=Path, help="directory of the finished bundle")
    parser.add_argument("--start-from", metavar="BUNDLE", help="a bundle to go on from")
    parser.add_argument("--preset", default="mini", choices=list(PRESETS))
    train_mini(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
