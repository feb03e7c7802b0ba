"""With which backend an engine draws: checked at once, built where it was asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from fusion.trace import Notes
from models import (
    BACKENDS,
    BackendUnavailable,
    DenoiserEngines,
    EngineRefused,
    Engines,
    EngineStore,
    KeyValueDenoiser,
    MemoryMode,
    Precision,
    RowConditions,
    Runner,
    backend_named,
    build_engines,
    decoder_graph,
    example_rows,
)

EAGER: Final = "eager"
AUTO: Final = "auto"


def checked_backend(
    name: str, device: torch.device, precision: Precision, memory: MemoryMode
) -> str:
    """The backend of that name, "auto" as eager where no engine can be drawn with.

    Raises BackendUnavailable for a name that is not known, cannot be had here, or does not go with
    the precision or the memory mode.
    """
    if name not in BACKENDS:
        raise BackendUnavailable(
            f"backend {name!r} is not available: give one of {', '.join(BACKENDS)}"
        )
    hindered = "precision int8" if precision.quantised else "memory low" if memory.offload else None
    if name in (EAGER, AUTO):
        return EAGER if hindered else name
    if hindered:
        raise BackendUnavailable(f"{hindered} is drawn by backend eager, not {name}: give one")
    backend_named(name).check(device, precision.dtype)
    return name


class DrawerBackend:
    """The engines that one set of models is drawn with. Thread-safe."""

    def __init__(self, choice: str, store: EngineStore | None = None) -> None:
        """choice: a backend's name, or "auto": whatever engines were built for these models."""
        self.choice = choice
        self._store = store or EngineStore()
        self.denoiser = None if choice == EAGER else DenoiserEngines(choice, self._store)
        self._decoder = None if choice == EAGER else Engines(choice, self._store)
        self._refused = ""

    def build(
        self,
        denoiser: KeyValueDenoiser,
        vae: Any,
        size: tuple[int, int],
        bundle: str,
        doing: Callable[[str], None] = lambda what: None,
    ) -> None:
        """Build the engines for a size of latents (width, height) where they were asked for by
        name and are missing; one that is refused is drawn without, and told by `tell`.
        """
        if self.choice in (EAGER, AUTO) or self.denoiser is None:
            return
        latents, conditions = example_rows(denoiser, size)
        found = [
            self.denoiser.found(denoiser.plain_module, latents, conditions).runner,
            self.denoiser.found_shallow(denoiser.plain_module, latents, conditions).runner,
        ]
        if vae is not None:
            found.append(self.decoder(vae, latents))
        if all(runner is not None for runner in found):
            return
        try:
            backend = backend_named(self.choice)
            build_engines(denoiser, vae, backend, self._store, size, bundle=bundle, doing=doing)
        except EngineRefused as error:
            self._refused = str(error)
        self.forget()

    def decoder(self, vae: Any, latents: Tensor) -> Runner | None:
        """What decodes one picture of these latents in the autoencoder's place, if anything."""
        if self._decoder is None:
            return None
        height, width = latents.shape[2:]
        height, width = int(height), int(width)
        return self._decoder.find(height, width, lambda: decoder_graph(vae, height, width)).runner

    def tell(
        self, notes: Notes, denoiser: KeyValueDenoiser, latents: Tensor, conditions: RowConditions
    ) -> None:
        """Say in the trace what draws rows like this one, and why, where it is not what was asked.

        latents, conditions: of one row.
        """
        if self.denoiser is None:
            return
        found = self.denoiser.found(denoiser.plain_module, latents, conditions)
        height, width = latents.shape[2:]
        why = self._refused or found.reason
        if found.runner is not None:
            notes.decided(f"backend: {found.backend}")
        elif self.choice != AUTO:
            why = why or f"no engine for latents of {width}×{height}, see limner compile --sizes"
            notes.downgraded(f"backend: eager instead of {self.choice}: {why}")
        elif why:
            notes.decided(f"backend: eager, since {why}")

    def forget(self) -> None:
        """Look for engines again."""
        if self.denoiser is not None:
            self.denoiser.forget()
        if self._decoder is not None:
            self._decoder.forget()
