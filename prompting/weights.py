"""Attention weights such as "(word:1.2)": refused, never tokenised as punctuation."""

import re
from typing import Final

from prompting.errors import UnreadableText, shown

_WEIGHTED: Final = re.compile(r"[(\[{<][^()\[\]{}<>]*:\s*[-+]?[0-9.]+\s*[)\]}>]")
# "man:1.3", "hat::2", "smiling++": weights without brackets; "16:9" and "age:35" are none.
_BARE_WEIGHT: Final = re.compile(
    r"[^\W\d_][\w-]*:[-+]?\d*\.\d+(?!\w)|[^\W\d_][\w-]*::\s*[-+]?\d[\d.]*"
    r"|(?<!\w)(?![cC]\+\+)[^\W_]+(?:\+\++|--+)(?!\w)"
)
_CLOSED_BY: Final = {"(": ")", "[": "]", "{": "}"}
_BRACKETS: Final = re.compile(r"[()\[\]{}]")


def without_brackets(text: str, instead: str) -> str:
    """A text, in NFKC, whose plain brackets give way to another separator.

    A bracket may set words apart, "(about 35)". Raises UnreadableText if it gives them weights,
    "(word:1.2)" or "((word))", or is not closed.
    """
    if weighted := _WEIGHTED.search(text) or _BARE_WEIGHT.search(text):
        raise UnreadableText(
            f'"{shown(weighted[0])}": weights are not offered, write the words alone'
        )
    opened: re.Match[str] | None = None
    for bracket in _BRACKETS.finditer(text):
        if opened is None and bracket[0] in _CLOSED_BY:
            opened = bracket
        elif opened is not None and bracket[0] == _CLOSED_BY[opened[0]]:
            opened = None
        else:
            raise _unreadable(text, bracket if opened is None else opened)
    if opened is not None:
        raise _unreadable(text, opened)
    return _BRACKETS.sub(instead, text)


def _unreadable(text: str, bracket: re.Match[str]) -> UnreadableText:
    """A bracket that is opened in another one, or stands alone."""
    around = text[max(0, bracket.start() - 12) : bracket.end() + 12]
    return UnreadableText(
        f'"{shown(around)}": a bracket is not closed, or stands in another one; '
        "weights are not offered, write the words alone"
    )
