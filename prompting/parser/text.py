"""Splits a text into clauses and gives each to the reader of its script."""

import re
import unicodedata
from typing import Final

from prompting.errors import UnreadableText
from prompting.parser.chinese import HAN, KANA, read_chinese, spread
from prompting.parser.english import EnglishReader
from prompting.parser.reading import Notes, Reading
from prompting.parser.refusals import plainly
from prompting.weights import without_brackets

MAX_TEXT_CHARACTERS: Final = 4_000
_CLAUSE_END: Final = re.compile(
    r"([,;!?，。；！？、\r\n]+|\.+(?=\s|$)"
    r"|:(?=\s|$)|(?<=[\u3400-\u9fff]):"
    r"|\s[-–—]+\s|—"
    r"|\s(?:and|but|as) (?=(?:i|we|I|We) ))"
)


def read(text: str) -> Reading:
    """Attributes of a free text and what is left over: never lost, never invented.

    Recognised are the lexicon's words, ages, and negations ("without glasses", 没有戴帽子); filler
    is removed and told; all other words are kept as phrases in the order in which they came,
    without articles and the like. Where a text contradicts itself, what was said first stands.
    Raises UnreadableText: over MAX_TEXT_CHARACTERS, or weights such as "(word:1.2)".
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise UnreadableText(
            f"the text is {len(text)} characters long, the limit is {MAX_TEXT_CHARACTERS}"
        )
    plain = unicodedata.normalize("NFKC", text).replace("’", "'")  # "isn’t" is "isn't"
    notes = Notes()
    english = EnglishReader(notes)
    parts = _CLAUSE_END.split(spread(plainly(without_brackets(plain, ","))))
    for clause, end in zip(parts[::2], [*parts[1::2], ""], strict=True):
        if KANA.search(clause):
            notes.keep(clause.strip())
        elif HAN.search(clause):
            read_chinese(clause.strip(), notes)
        elif clause.strip():
            english.read(clause.strip(), end)
    return notes.reading()
