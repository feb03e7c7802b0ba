"""Tiny CLIP text models, prompts for them, and their own forward to compare with."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from cache import PrefixPool
from models import PrefixCachedTextEncoder, TextStates

BEGIN, END, LENGTH = 98, 99, 77
LAYERS, WIDTH = 3, 64


def text_model(*, projection: bool = False, seed: int = 0, **settings: Any) -> Any:
    torch.manual_seed(seed)
    options: dict[str, Any] = {
        "vocab_size": 100,
        "hidden_size": WIDTH,
        "intermediate_size": 128,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "max_position_embeddings": LENGTH,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": END,
        "projection_dim": 32,
        "attn_implementation": "sdpa",
    }
    config = CLIPTextConfig(**(options | settings))
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def encoder(model: Any, max_bytes: int = 64 << 20) -> PrefixCachedTextEncoder:
    return PrefixCachedTextEncoder(model, PrefixPool(max_bytes))


def prompt(*words: int, length: int = LENGTH, padding: int = END) -> list[int]:
    """One prompt as a tokenizer pads it: the begin mark, words, the end mark, padding."""
    tokens = [BEGIN, *words, END]
    return tokens + [padding] * (length - len(tokens))


def ids(*prompts: list[int]) -> Tensor:
    return torch.tensor(prompts)


def traffic(batches: int, *, seed: int = 1, size: int = 4) -> list[Tensor]:
    """Batches of prompts that share beginnings, some of them alike."""
    rng = random.Random(seed)
    heads = [[rng.randrange(3, 98) for _ in range(rng.randrange(3, 30))] for _ in range(6)]
    found: list[Tensor] = []
    for _ in range(batches):
        rows = []
        for _ in range(rng.randrange(1, size + 1)):
            head = rng.choice(heads)
            tail = [rng.randrange(3, 98) for _ in range(rng.choice([0, 0, 1, 3]))]
            rows.append(prompt(*head[: rng.randrange(2, len(head) + 1)], *tail))
        found.append(ids(*rows))
    return found


def own(model: Any, input_ids: Tensor, layer: int = -1) -> tuple[Tensor, Tensor]:
    """What the model's own forward gives: its states and what it pools. layer: -1 for the last with
    its norm, else an index into hidden_states.
    """
    with torch.no_grad():
        output = model(input_ids=input_ids, output_hidden_states=True)
    hidden = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
    pooled = output.text_embeds if hasattr(model, "text_projection") else output.pooler_output
    return hidden, pooled


def difference(states: TextStates, wanted: tuple[Tensor, Tensor]) -> float:
    """The largest deviation of states and pooled states."""
    found = (states.hidden, states.pooled)
    assert [each.shape for each in found] == [each.shape for each in wanted]
    assert [each.dtype for each in found] == [each.dtype for each in wanted]
    return max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True))


def agrees(encoder: PrefixCachedTextEncoder, input_ids: Tensor, tolerance: float = 2e-5) -> None:
    found = difference(encoder.encode(input_ids), own(encoder.text_model, input_ids))
    assert found <= tolerance, f"{found} from the model's own forward"
