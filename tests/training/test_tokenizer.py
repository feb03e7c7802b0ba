"""The tokenizer: CLIP's own class, any text, few tokens for what captions say."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from training.data import Pictures
from training.tokenizer import (
    END,
    START,
    VocabularyTooSmall,
    build_tokenizer,
    byte_letters,
    training_captions,
)

CAPTIONS = ["portrait of a woman, age 35, smiling, red shirt"] * 3 + ["glasses, brown hair"]


def test_what_is_saved_loads_and_encodes_the_same(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(CAPTIONS, 700)
    tokenizer.save_pretrained(tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    text = "portrait of a man, naïve 微笑, 4K"
    assert loaded(text).input_ids == tokenizer(text).input_ids
    assert loaded.model_max_length == 77
    assert len(loaded) <= 700


def test_prompts_begin_end_and_pad_as_stable_diffusion_does() -> None:
    tokenizer = build_tokenizer(CAPTIONS, 700)
    ids = tokenizer("smiling", padding="max_length").input_ids
    start, end = tokenizer.convert_tokens_to_ids([START, END])
    assert len(ids) == 77
    assert ids[0] == start
    assert ids[-1] == ids[3] == end == tokenizer.pad_token_id
    assert end == max(ids) and end != 2  # noqa: PT018


def test_captions_words_are_one_token_each() -> None:
    tokenizer = build_tokenizer(CAPTIONS, 700)
    assert len(tokenizer("portrait of a woman, smiling", add_special_tokens=False).input_ids) == 6


def test_any_text_survives_a_round_trip() -> None:
    tokenizer = build_tokenizer(CAPTIONS, 700)
    text = "ein bärtiger mann & 一位女士 🙂"
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == text.replace(" ", "")


def test_there_are_letters_for_all_bytes() -> None:
    assert len(set(byte_letters())) == 256


def test_a_vocabulary_without_room_for_bytes_is_refused() -> None:
    with pytest.raises(VocabularyTooSmall):
        build_tokenizer(CAPTIONS, 500)


def test_no_training_caption_is_cut(few_pictures: tuple[Pictures, Pictures]) -> None:
    captions = training_captions(few_pictures[0], 200)
    tokenizer = build_tokenizer(captions, 896)
    assert max(len(tokenizer(caption).input_ids) for caption in captions) <= 77
