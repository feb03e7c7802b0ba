"""Attention weights such as "(word:1.2)": refused, never tokenised as punctuation."""

import re
from typing import Final

from prompting.errors import UnreadableText, shown

_WEIGHTED: Final = re.compile(r"[(\[{][^()\[\]{}]*:\s*[-+]?[0-9.]+\s*[)\]}]")


def refuse_weights(text: str) -> None:
    """Raises UnreadableText if a text, in NFKC, gives its words weights."""
    if weighted := _WEIGHTED.search(text):
        raise UnreadableText(
            f'"{shown(weighted[0])}": weights are not offered, write the words alone'
        )
