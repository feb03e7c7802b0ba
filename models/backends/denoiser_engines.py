"""The denoiser's engines: one for each size of latents, eager for all others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from models.backends.backend import Backend
from models.backends.engines import Engines, Found, build_engine
from models.backends.graph import FEWEST_ROWS, Graph, denoiser_graphs, denoiser_tensors
from models.backends.store import EngineEntry, EngineStore
from models.denoiser_module import DenoiserModule, Drawn
from models.key_values import RowConditions


class DenoiserEngines:
    """Draws steps by engines where there are any for their size. Thread-safe.

    Equal to eager within the gate's PSNR (tests/models/backends).
    """

    def __init__(self, choice: str, store: EngineStore | None = None) -> None:
        """choice: a backend's name, or "auto"."""
        self._whole = Engines(choice, store)
        self._shallow = Engines(choice, store)
        self._module: DenoiserModule | None = None

    def found(self, module: DenoiserModule, latents: Tensor, conditions: RowConditions) -> Found:
        """What draws whole steps of such rows."""
        self._of(module)
        height, width = latents.shape[2:]
        return self._whole.find(
            int(height),
            int(width),
            lambda: _graphs(module, latents, conditions)[0],
            _kind(latents, conditions),
        )

    def found_shallow(
        self, module: DenoiserModule, latents: Tensor, conditions: RowConditions
    ) -> Found:
        """What draws the fast mode's other steps."""
        self._of(module)
        height, width = latents.shape[2:]
        return self._shallow.find(
            int(height),
            int(width),
            lambda: _graphs(module, latents, conditions)[1],
            _kind(latents, conditions),
        )

    def whole(
        self,
        module: DenoiserModule,
        latents: Tensor,
        timesteps: Tensor,
        conditions: RowConditions,
    ) -> Drawn | None:
        """A whole step by an engine; None where there is none for this size."""
        runner = self.found(module, latents, conditions).runner
        if runner is None:
            return None
        noise, deep = runner(denoiser_tensors(latents, timesteps, conditions))
        return Drawn(noise, deep)

    def shallow(
        self,
        module: DenoiserModule,
        latents: Tensor,
        timesteps: Tensor,
        conditions: RowConditions,
        deep: Tensor,
    ) -> Tensor | None:
        """A step of the fast mode by an engine; None where there is none for this size."""
        runner = self.found_shallow(module, latents, conditions).runner
        if runner is None:
            return None
        return runner(denoiser_tensors(latents, timesteps, conditions, deep))[0]

    def forget(self) -> None:
        """Look for engines again: weights have changed, or others were built."""
        self._whole.forget()
        self._shallow.forget()

    def _of(self, module: DenoiserModule) -> None:
        if self._module is not module:  # adapters came or went: another graph
            self.forget()
            self._module = module


def build_denoiser_engines(
    module: DenoiserModule,
    latents: Tensor,
    conditions: RowConditions,
    backend: Backend,
    store: EngineStore,
    *,
    bundle: str,
    doing: Callable[[str], None] = lambda what: None,
) -> tuple[EngineEntry, ...]:
    """Build both graphs of the denoiser for one size. latents, conditions: rows of that size.

    Raises BackendUnavailable, EngineRefused.
    """
    return tuple(
        build_engine(
            graph,
            backend,
            store,
            bundle=bundle,
            doing=lambda what, kind=graph.kind: doing(f"{what}: {kind.value}"),  # type: ignore[misc]
        )
        for graph in _graphs(module, latents, conditions)
    )


def _graphs(
    module: DenoiserModule, latents: Tensor, conditions: RowConditions
) -> tuple[Graph, Graph]:
    rows = [0] * FEWEST_ROWS
    with torch.no_grad():
        return denoiser_graphs(module, latents[rows], conditions.select(rows))


def _kind(latents: Tensor, conditions: RowConditions) -> tuple[object, ...]:
    identity = conditions.identity
    return (
        latents.shape[1],
        conditions.text.tokens,
        None if identity is None else identity.tokens,
        conditions.text_embeds is None,
    )
