"""What reports have in common: words in two languages, one style, a small script, one file.

`page` makes the file, `words` reads its words; base.css and base.js come first in every report.
"""

from eval.report.page import for_script, render_page
from eval.report.words import LANGUAGES, read_words

__all__ = ["LANGUAGES", "for_script", "read_words", "render_page"]
