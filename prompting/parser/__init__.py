"""Free text, English or Chinese → attributes, exclusions, and the rest kept as phrases."""

from prompting.parser.reading import Reading
from prompting.parser.text import MAX_TEXT_CHARACTERS, read

__all__ = ["MAX_TEXT_CHARACTERS", "Reading", "read"]
