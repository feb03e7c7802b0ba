"""CLIP's own byte-pair encoding, as the public models have it."""

import gzip
import json
from pathlib import Path

import pytest

from prompting import Tokenizer

DATA = Path(__file__).parent.parent / "data" / "clip-bpe"


@pytest.fixture(scope="session")
def clip_tokenizer() -> Tokenizer:
    """transformers' tokenizer with OpenAI's vocabulary and merges (tests/data/clip-bpe/LICENSE)."""
    from transformers import CLIPTokenizer

    vocab = json.loads(gzip.decompress((DATA / "vocab.json.gz").read_bytes()))
    lines = gzip.decompress((DATA / "merges.txt.gz").read_bytes()).decode("utf-8").splitlines()
    merges = [tuple(line.split()) for line in lines[1:] if line.strip()]
    tokenizer: Tokenizer = CLIPTokenizer(vocab=vocab, merges=merges)
    return tokenizer
