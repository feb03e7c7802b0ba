"""The bundle's CLIP: does a picture say what was wished, and how far are two sets of pictures?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection
from transformers.models.clip import CLIPImageProcessorPil

from eval.ab.cases import Picture
from models import Bundle, ComponentKind, quiet_libraries

_BATCH: Final = 32


class Vision:
    """Both towers of a bundle's CLIP, on the CPU in fp32: they see few pictures."""

    def __init__(self, bundle: Bundle) -> None:
        clip, pipeline = bundle.path(ComponentKind.CLIP), bundle.path(ComponentKind.PIPELINE)
        with quiet_libraries():
            self._tokenizer = CLIPTokenizer.from_pretrained(
                pipeline / "tokenizer", local_files_only=True
            )
            self._text = CLIPTextModel.from_pretrained(
                pipeline / "text_encoder", local_files_only=True, dtype=torch.float32
            ).eval()
            self._image = CLIPVisionModelWithProjection.from_pretrained(
                clip / "image_encoder", local_files_only=True, dtype=torch.float32
            ).eval()
            self._processor = CLIPImageProcessorPil.from_pretrained(clip / "image_encoder")
        projection = load_file(clip / "text_projection.safetensors")
        self._projection = projection["text_projection.weight"].float()
        self._known: dict[str, NDArray[np.float32]] = {}

    def agreement(self, images: Sequence[Picture], texts: Sequence[str]) -> NDArray[np.float32]:
        """Cosine [n] of each picture with its text."""
        pictures, words = self.embed(images), np.stack([self._words(text) for text in texts])
        return np.asarray(np.sum(pictures * words, axis=1))

    @torch.inference_mode()
    def embed(self, images: Sequence[Picture]) -> NDArray[np.float32]:
        """Unit embeddings float32 [n, width] of pictures uint8 RGB."""
        parts = []
        for start in range(0, len(images), _BATCH):
            batch = [Image.fromarray(image) for image in images[start : start + _BATCH]]
            pixels = self._processor(images=batch, return_tensors="pt")["pixel_values"]
            parts.append(_unit(self._image(pixel_values=pixels).image_embeds))
        return np.concatenate(parts)

    @torch.inference_mode()
    def _words(self, text: str) -> NDArray[np.float32]:
        """A text's unit embedding; what is over the encoder's length is left out, in every arm."""
        if text not in self._known:
            ids = self._tokenizer(
                text, padding="max_length", truncation=True, return_tensors="pt",
                max_length=int(self._text.config.max_position_embeddings),
            ).input_ids  # fmt: skip
            pooled = self._text(input_ids=ids).pooler_output
            self._known[text] = _unit(pooled @ self._projection.T)[0]
        return self._known[text]


def _unit(values: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(torch.nn.functional.normalize(values, dim=-1).numpy(), dtype=np.float32)
