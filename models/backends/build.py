"""All engines of one set of models at one size: the denoiser's two graphs, and the decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from models.backends.backend import Backend
from models.backends.denoiser_engines import build_denoiser_engines
from models.backends.engines import build_engine
from models.backends.graph import FEWEST_ROWS, decoder_graph
from models.backends.store import EngineEntry, EngineStore
from models.denoiser import KeyValueDenoiser, blank_text_embeds
from models.key_values import RowConditions

TEXT_TOKENS = 77  # CLIP's prompts are padded to as many


def build_engines(
    denoiser: KeyValueDenoiser,
    autoencoder: Any,
    backend: Backend,
    store: EngineStore,
    size: tuple[int, int],
    *,
    bundle: str,
    doing: Callable[[str], None] = lambda what: None,
) -> tuple[EngineEntry, ...]:
    """Build and keep them. autoencoder: None where it is not decoded with as it is. size: (width,
    height) of the latents; doing: told what is being done.

    Raises BackendUnavailable before any work, and EngineRefused, which leaves no engine behind for
    the graph it names.
    """
    unet = denoiser.unet
    backend.check(unet.device, unet.dtype)
    latents, conditions = example_rows(denoiser, size)
    entries = build_denoiser_engines(
        denoiser.plain_module, latents, conditions, backend, store, bundle=bundle, doing=doing
    )
    if autoencoder is None:
        return entries
    decoder = decoder_graph(autoencoder, size[1], size[0])
    last = build_engine(
        decoder,
        backend,
        store,
        bundle=bundle,
        doing=lambda what: doing(f"{what}: {decoder.kind.value}"),
    )
    return (*entries, last)


def example_rows(
    denoiser: KeyValueDenoiser, size: tuple[int, int], identities: int = 1
) -> tuple[Tensor, RowConditions]:
    """Latents and conditions as requests have them, of random numbers. size: (width, height)."""
    unet = denoiser.unet
    device, dtype = unet.device, unet.dtype
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    rows, config = FEWEST_ROWS, unet.config
    text = denoiser.project_text(normal(rows, TEXT_TOKENS, int(config.cross_attention_dim)))
    identity = None
    if denoiser.has_identity:
        embeddings = torch.nn.functional.normalize(normal(rows, identities, 512).float(), dim=-1)
        identity = denoiser.project_identity(embeddings.to(dtype))
    text_embeds = blank_text_embeds(unet, rows)
    conditions = RowConditions.of(
        text,
        identity,
        text_embeds=None if text_embeds is None else text_embeds.to(device, dtype),
        time_ids=None if text_embeds is None else torch.zeros(rows, 6).to(device, dtype),
    )
    return normal(rows, int(config.in_channels), size[1], size[0]), conditions
