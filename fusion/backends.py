"""With which backend an engine draws: checked at once, built where it was asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    Found,
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


@dataclass(frozen=True, eq=False)
class ToDraw:
    """What is to be drawn with: the models, and one row of what they will be given.

    vae: None where it is not decoded with as it is. fast: whether some steps are the fast mode's.
    changed: names of adapters that came, went or were scaled since the models were loaded.
    """

    denoiser: KeyValueDenoiser
    vae: Any
    latents: Tensor
    conditions: RowConditions
    fast: bool
    changed: tuple[str, ...]


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
        return None if self._decoder is None else self._found_decoder(vae, latents).runner

    def tell(self, notes: Notes, rows: ToDraw) -> None:
        """Say in the trace what draws such rows, and why, where it is not what was asked."""
        if self.denoiser is None:
            return
        module, told = rows.denoiser.plain_module, dict[tuple[str, str], list[str]]()
        found = {"denoiser": self.denoiser.found(module, rows.latents, rows.conditions)}
        if rows.fast:
            shallow = self.denoiser.found_shallow(module, rows.latents, rows.conditions)
            found["fast mode's steps"] = shallow
        if rows.vae is not None:
            found["decoder"] = self._found_decoder(rows.vae, rows.latents)
        for part, one in found.items():
            why = "" if one.runner is not None else self._why(one, rows, part == "decoder")
            told.setdefault((one.backend, why), []).append(part)
        for (backend, why), parts in told.items():
            where = f" for the {' and the '.join(parts)}" if len(told) > 1 else ""
            if backend != EAGER:
                notes.decided(f"backend: {backend}{where}")
            elif self.choice != AUTO:
                notes.downgraded(f"backend: eager instead of {self.choice}{where}: {why}")
            elif why or where:
                notes.decided(f"backend: eager{where}" + (f", since {why}" if why else ""))

    def forget(self) -> None:
        """Look for engines again."""
        if self.denoiser is not None:
            self.denoiser.forget()
        if self._decoder is not None:
            self._decoder.forget()

    def _found_decoder(self, vae: Any, latents: Tensor) -> Found:
        assert self._decoder is not None
        height, width = (int(side) for side in latents.shape[2:])
        return self._decoder.find(height, width, lambda: decoder_graph(vae, height, width))

    def _why(self, found: Found, rows: ToDraw, decoder: bool) -> str:
        """Why there is no engine; "" where "auto" was never given one for this size."""
        height, width = (int(side) for side in rows.latents.shape[2:])
        if known := self._refused or found.reason:
            return known
        if rows.changed and not decoder and self._store.has_size(height, width):
            names = ", ".join(rows.changed)
            advice = "" if self.choice == "compiled" else "; compiled draws with any LoRA"
            return f"no engine is for the models as {names} left them{advice}"
        if self.choice == AUTO:
            return ""
        return f"no engine for latents of {width}×{height}, see limner compile --sizes"
