"""The command `limner`: arguments in, pictures and plain words out."""

from cli.main import run

__all__ = ["run"]
