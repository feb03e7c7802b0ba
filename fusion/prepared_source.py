"""A bundle in any precision and memory mode, its models its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch

from fusion.source import BundleSource, Drawer
from models import (
    Bundle,
    MemoryMode,
    Precision,
    apply_memory_mode,
    choose_device,
    load_components,
    memory_mode,
    quantise_denoiser,
    resolve_precision,
    weight_bytes,
)


class PreparedSource(BundleSource):
    """As `BundleSource`, for precisions that are more than a dtype and for memory modes.

    Its models are shared with no other engine, for both change them. notes: what was
    done to them, once they are loaded. Raises BundleNotFound, DeviceUnavailable, MemoryModeUnknown.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str | torch.device = "auto",
        precision: str | torch.dtype | Precision = "auto",
        memory: str | MemoryMode = "normal",
    ) -> None:
        chosen = choose_device(device)
        self.precision = resolve_precision(precision, chosen)
        self.memory = memory_mode(memory)
        self.notes: Sequence[str] = ()
        self._loading = threading.Lock()
        super().__init__(bundle, chosen, self.precision.dtype)

    def drawer(self) -> Drawer:
        """The models, loaded if need be. Raises BundleCorrupt, and DeviceUnavailable for int8
        without torchao.
        """
        with self._loading:
            if self._drawer is None:
                self._drawer = self._load()
            return self._drawer

    @property
    def weight_bytes(self) -> int:
        """Bytes the loaded denoiser's, autoencoder's and text encoder's weights take."""
        drawer = self.drawer()
        return weight_bytes(drawer.denoiser.given.unet, drawer.vae, drawer.text_encoder)

    def _load(self) -> Drawer:
        components = load_components(self._bundle, self._device, self.precision.dtype)
        notes: list[str] = []
        if self.precision.quantised:
            done = quantise_denoiser(components.unet)
            notes.append(f"{done.layers} layers of the denoiser are int8")
        drawer = Drawer.of(components, pack=self.memory.pack_weights)
        applied = apply_memory_mode(
            self.memory,
            components.unet,
            components.vae,
            [components.text_encoder],
            components.device,
        )
        self.notes = (*notes, *applied.notes)
        return drawer
