"""CLIP's own byte-pair encoding, as the public models have it (tests/data/clip-bpe)."""

import gzip
import json
from pathlib import Path

from transformers import CLIPTokenizer

DATA = Path(__file__).resolve().parent.parent / "tests" / "data" / "clip-bpe"


def clip_tokenizer() -> CLIPTokenizer:
    """transformers' tokenizer with OpenAI's vocabulary and merges."""
    vocabulary = json.loads(gzip.decompress((DATA / "vocab.json.gz").read_bytes()))
    lines = gzip.decompress((DATA / "merges.txt.gz").read_bytes()).decode("utf-8").splitlines()
    merges = [tuple(line.split()) for line in lines[1:] if line.strip()]
    return CLIPTokenizer(vocab=vocabulary, merges=merges)
