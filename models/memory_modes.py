"""How much memory to spend: descriptions of three modes, and their application to loaded models.

What each costs and saves, as measured, is in docs/precision.md (`limner bench memory`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import torch
from torch import nn

from models.errors import MemoryModeUnknown
from models.offload import visit_by_forward, visit_by_methods
from models.sliced_attention import SlicedSelfAttention, sliceable

_TILED_ENCODE_CHANNELS: Final = 4


@dataclass(frozen=True)
class MemoryMode:
    """What is done to need less memory.

    decode_singly: an autoencoder takes one picture of a batch at a time; equal to rounding.
    tile_pixels: it takes pictures with a longer side in tiles of this one that overlap and are
    blended: approximate. attention_queries: self-attention takes one row and so many queries at a
    time; equal to rounding. offload: text encoder and autoencoder are on a GPU only while they
    compute; exact. largest_batch: rows the engine should draw together, None for its own setting.
    pack_weights: whether a CPU may hold convolutions a second time, laid out for it.
    """

    name: str
    decode_singly: bool = False
    tile_pixels: int | None = None
    attention_queries: int | None = None
    offload: bool = False
    largest_batch: int | None = None
    pack_weights: bool = True


MEMORY_MODES: Final = (
    MemoryMode("high"),
    MemoryMode("normal", decode_singly=True),
    MemoryMode(
        "low",
        decode_singly=True,
        tile_pixels=512,
        attention_queries=1024,
        offload=True,
        largest_batch=1,
        pack_weights=False,
    ),
)


def memory_mode(name: str | MemoryMode) -> MemoryMode:
    """The mode of a name. Raises MemoryModeUnknown."""
    if isinstance(name, MemoryMode):
        return name
    for mode in MEMORY_MODES:
        if mode.name == name:
            return mode
    known = ", ".join(mode.name for mode in reversed(MEMORY_MODES))
    raise MemoryModeUnknown(f"memory mode {name!r} is not known; give one of {known}")


@dataclass(eq=False)
class AppliedMemory:
    """A mode in force on models; `undo`, or leaving it as a context, makes them as they were.

    notes: what was done, and what could not be, a line each.
    """

    mode: MemoryMode
    notes: tuple[str, ...]
    _inverse: ExitStack = field(repr=False)

    def undo(self) -> None:
        """The models as they were before. A second time it does nothing."""
        self._inverse.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.undo()


def apply_memory_mode(
    mode: str | MemoryMode,
    unet: nn.Module,
    vae: nn.Module,
    text_encoders: Sequence[nn.Module],
    device: torch.device,
) -> AppliedMemory:
    """Put a mode in force on models that are on their device; call it after adapters are loaded,
    and while nothing is drawn. Modes do not stack: undo one before the next.

    Raises MemoryModeUnknown.
    """
    chosen = memory_mode(mode)
    notes: list[str] = []
    with ExitStack() as stack:
        if chosen.decode_singly:
            _decode_singly(vae, stack, notes)
        if chosen.tile_pixels is not None:
            _decode_in_tiles(vae, chosen.tile_pixels, stack, notes)
        if chosen.attention_queries is not None:
            _slice_attention(unet, chosen.attention_queries, stack, notes)
        if chosen.offload:
            _offload(vae, text_encoders, device, stack, notes)
        return AppliedMemory(chosen, tuple(notes), stack.pop_all())


def _decode_singly(vae: Any, stack: ExitStack, notes: list[str]) -> None:
    if not hasattr(vae, "use_slicing"):
        notes.append(f"{type(vae).__name__} cannot take one picture at a time")
        return
    _set(vae, "use_slicing", True, stack)
    notes.append("the autoencoder takes one picture at a time")


def _decode_in_tiles(vae: Any, pixels: int, stack: ExitStack, notes: list[str]) -> None:
    if not hasattr(vae, "use_tiling"):
        notes.append(f"{type(vae).__name__} cannot work in tiles")
        return
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    _set(vae, "use_tiling", True, stack)
    _set(vae, "tile_sample_min_size", pixels, stack)
    _set(vae, "tile_latent_min_size", pixels // factor, stack)
    notes.append(f"pictures over about {pixels} pixels go in tiles, which is approximate")
    if hasattr(vae, "_tiled_encode") and vae.config.latent_channels != _TILED_ENCODE_CHANNELS:
        # diffusers' tiled encoder of this class writes into four channels, whatever there are.
        vae._tiled_encode = lambda image: vae.encoder(image)
        stack.callback(delattr, vae, "_tiled_encode")
        notes.append(f"{type(vae).__name__} encodes them whole")


def _slice_attention(unet: nn.Module, queries: int, stack: ExitStack, notes: list[str]) -> None:
    layers = list(sliceable(unet))
    for layer in layers:
        _set(layer, "processor", SlicedSelfAttention(queries), stack)
    notes.append(
        f"{len(layers)} layers of self-attention take one row and {queries} queries at a time"
    )


def _offload(
    vae: nn.Module,
    text_encoders: Sequence[nn.Module],
    device: torch.device,
    stack: ExitStack,
    notes: list[str],
) -> None:
    if device.type != "cuda":
        why = (
            "its memory is the machine's" if device.type in ("cpu", "mps") else "it has no offload"
        )
        notes.append(f"nothing was moved off the {device.type} device: {why}")
        return
    home = torch.device("cpu")
    for encoder in text_encoders:
        if hasattr(encoder, "_hf_hook"):
            notes.append(f"{type(encoder).__name__} has an offload of its own, which stays")
        else:
            stack.callback(visit_by_forward(encoder, device, home))
    stack.callback(visit_by_methods(vae, ("encode", "decode"), device, home))
    notes.append(f"text encoder and autoencoder are on {device} only while they compute")


def _set(owner: Any, name: str, value: object, stack: ExitStack) -> None:
    """Set an attribute, to be put back unless another has set it since."""
    before = getattr(owner, name)
    setattr(owner, name, value)

    def restore() -> None:
        if getattr(owner, name) is value:
            setattr(owner, name, before)

    stack.callback(restore)
