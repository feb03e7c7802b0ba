"""The lexicon: what each attribute's values are called, and what carries nothing, as data."""

from prompting.lexicon.reader import WORN, Entry, Lexicon, Topic, fold, lexicon
from prompting.lexicon.speech import Speech, speech

__all__ = ["WORN", "Entry", "Lexicon", "Speech", "Topic", "fold", "lexicon", "speech"]
