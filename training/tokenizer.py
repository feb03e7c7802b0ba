"""The tokenizer: CLIP's byte-level BPE with a small vocabulary of its own, learned from captions.

256 bytes, the same 256 as ends of words, the merges, <|startoftext|> and <|endoftext|>: CLIP's
layout in small, so that transformers' CLIPTokenizer is the only code that ever reads it, and any
text in any language can be encoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

from .data import Pictures

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
MAX_LENGTH = 77


class VocabularyTooSmall(ValueError):
    """A byte-level vocabulary needs room for every byte."""


@dataclass(frozen=True)
class TokenizerConfig:
    """vocabulary: all tokens, the 512 of the bytes and the two special ones among them."""

    vocabulary: int = 896
    captions: int = 20_000


def byte_letters() -> list[str]:
    """The 256 printable letters that stand for the bytes, in GPT-2's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(code) for code in printable] + [chr(256 + k) for k in range(256 - len(printable))]


def learn_merges(captions: Iterable[str], count: int) -> list[tuple[str, str]]:
    """The `count` most useful pairs to join, most useful first; fewer if there are no more."""
    shaped = CLIPTokenizer().backend_tokenizer  # its normalisation and its splitting into words
    learner = Tokenizer(BPE(end_of_word_suffix=WORD_END))
    learner.normalizer = shaped.normalizer
    learner.pre_tokenizer = shaped.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=2 * 256 + count,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix=WORD_END,
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges][:count]


def build_tokenizer(captions: Iterable[str], vocabulary: int) -> CLIPTokenizer:
    """Learn a tokenizer of at most `vocabulary` tokens. Raises VocabularyTooSmall."""
    letters = byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters)]
    room = vocabulary - len(tokens) - 2
    if room < 0:
        raise VocabularyTooSmall(
            f"a vocabulary of {vocabulary} has no room for {len(tokens) + 2} tokens"
        )
    merges = learn_merges(captions, room)
    tokens += ["".join(pair) for pair in merges]
    tokens += [START, END]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(dict.fromkeys(tokens))},
        merges=merges,
        model_max_length=MAX_LENGTH,
    )


def training_captions(pictures: Pictures, count: int, seed: int = 0) -> list[str]:
    """Captions of random pictures, half of them wordy."""
    rng = np.random.default_rng(seed)
    return [pictures.describe(rng, int(i), wordy=0.5).text for i in pictures.sample(rng, count)]


def train_tokenizer(config: TokenizerConfig, pictures: Pictures, directory: Path) -> CLIPTokenizer:
    """Learn from the pictures' captions and save for from_pretrained."""
    tokenizer = build_tokenizer(training_captions(pictures, config.captions), config.vocabulary)
    tokenizer.save_pretrained(directory)
    return tokenizer
