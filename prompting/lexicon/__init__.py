"""The lexicon: what each attribute's values are called, as data (en.toml, zh.toml)."""

from prompting.lexicon.reader import WORN, Entry, Lexicon, Topic, fold, lexicon

__all__ = ["WORN", "Entry", "Lexicon", "Topic", "fold", "lexicon"]
