"""Engines for a bundle, built ahead of any request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fusion.backends import EAGER, checked_backend
from fusion.errors import InvalidSize
from fusion.source import BundleSource
from models import (
    EngineEntry,
    EngineStore,
    backend_named,
    build_engines,
    choose_device,
    memory_mode,
    open_bundle,
    resolve_precision,
)


def compile_bundle(
    name_or_directory: str | Path,
    backend: str,
    sizes: Sequence[tuple[int, int]] = (),
    *,
    device: str = "auto",
    precision: str = "auto",
    doing: Callable[[str], None] = lambda what: None,
    store: EngineStore | None = None,
) -> tuple[EngineEntry, ...]:
    """Build a bundle's engines, as `Engine.load` of the same device and precision looks for them.

    sizes: (width, height) of portraits in pixels; without, the bundle's own. doing: told what is
    being done. Raises BackendUnavailable, DeviceUnavailable, InvalidSize, BundleNotFound,
    BundleCorrupt before any work, and EngineRefused.
    """
    where = choose_device(device)
    checked_backend(backend, where, resolve_precision(precision, where), memory_mode("normal"))
    bundle = open_bundle(name_or_directory, verify=True)
    side = bundle.manifest.size
    doing("loading the models")
    drawer = BundleSource(bundle, where, precision, EAGER).drawer()
    wanted = sizes or [(side, side)]
    unit = drawer.factor * 2 ** (len(drawer.denoiser.given.unet.config.block_out_channels) - 1)
    for width, height in wanted:
        if width % unit or height % unit or min(width, height) < unit:
            raise InvalidSize(f"{width}×{height} cannot be drawn: give multiples of {unit} pixels")
    built: list[EngineEntry] = []
    for number, (width, height) in enumerate(wanted, 1):
        count = f" ({number} of {len(wanted)})" if len(wanted) > 1 else ""
        built += build_engines(
            drawer.denoiser.given,
            None if drawer.upcasts else drawer.vae,
            backend_named(backend),
            store or EngineStore(),
            (width // drawer.factor, height // drawer.factor),
            bundle=bundle.name,
            doing=lambda what, count=count: doing(what + count),  # type: ignore[misc]
        )
    return tuple(built)
