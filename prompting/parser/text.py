"""Splits a text into clauses and gives each to the reader of its script."""

import re
import unicodedata
from typing import Final

from prompting.errors import UnreadableText
from prompting.parser.chinese import HAN, read_chinese
from prompting.parser.english import read_english
from prompting.parser.reading import Notes, Reading
from prompting.weights import refuse_weights

MAX_TEXT_CHARACTERS: Final = 20_000
_CLAUSE_END: Final = re.compile(r"[,;!?，。；！？、\r\n]+|\.+(?=\s|$)")


def read(text: str) -> Reading:
    """Attributes of a free text and what is left over: never lost, never invented.

    Recognised are the lexicon's words, ages, and negations ("without glasses", 没有戴帽子); all
    other words are kept as phrases in the order in which they came.
    Raises UnreadableText: over MAX_TEXT_CHARACTERS, or weights such as "(word:1.2)".
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise UnreadableText(
            f"the text is {len(text)} characters long, the limit is {MAX_TEXT_CHARACTERS}"
        )
    plain = unicodedata.normalize("NFKC", text).replace("’", "'")  # "isn’t" is "isn't"
    refuse_weights(plain)
    notes = Notes()
    for clause in _CLAUSE_END.split(plain):
        if HAN.search(clause):
            read_chinese(clause.strip(), notes)
        else:
            read_english(clause.split(), notes)
    return notes.reading()
