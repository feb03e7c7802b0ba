"""Files on disk → callables: bundles, loading, faces, photographs, precision.

Importing this package costs nothing; torch, diffusers and the rest arrive with the first name that
needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.alignment import CROP_LANDMARKS, CROP_SIZE, align_face
    from models.bundle import (
        Bundle,
        bundle_directories,
        list_bundles,
        open_bundle,
        seal_bundle,
        verify_bundle,
    )
    from models.components import Components, load_components
    from models.cpu_threads import release_team, single_threaded
    from models.denoiser import KeyValueDenoiser, Projections
    from models.denoiser_module import DenoiserModule, Drawn
    from models.errors import (
        BundleCorrupt,
        BundleNotFound,
        ConditionsRejected,
        DeviceUnavailable,
        FaceNotFound,
        FacesError,
        FaceTooSmall,
        ImageRejected,
        ModelsError,
        PipelineUnsupported,
        PoolFileRejected,
        SeveralFaces,
        TokensRejected,
    )
    from models.faces import Face, FaceAnalyser, choose_face
    from models.images import ImageSource, read_image
    from models.key_values import KeyValueLayout, KeyValues, RowConditions
    from models.manifest import (
        BundleDescription,
        BundleManifest,
        ComponentDescription,
        ComponentKind,
        Defaults,
        Draws,
        FacesSettings,
    )
    from models.masks import read_mask
    from models.memory_modes import (
        MEMORY_MODES,
        AppliedMemory,
        MemoryMode,
        apply_memory_mode,
        memory_mode,
    )
    from models.precision import (
        PRECISIONS,
        Precision,
        choose_device,
        choose_precision,
        resolve_precision,
    )
    from models.prefix_files import PoolIndex, load_pool, read_pool_index, save_pool
    from models.prefix_states import PrefixStates, PromptStates
    from models.quantisation import (
        Quantised,
        check_loss,
        loss_refusal,
        quantise_denoiser,
        weight_bytes,
    )
    from models.quiet import quiet_libraries
    from models.text_encoder import PrefixCachedTextEncoder, TextStates

_HOMES = {
    "alignment": ("CROP_LANDMARKS", "CROP_SIZE", "align_face"),
    "bundle": (
        "Bundle",
        "bundle_directories",
        "list_bundles",
        "open_bundle",
        "seal_bundle",
        "verify_bundle",
    ),
    "components": ("Components", "load_components"),
    "cpu_threads": ("release_team", "single_threaded"),
    "denoiser": ("KeyValueDenoiser", "Projections"),
    "denoiser_module": ("DenoiserModule", "Drawn"),
    "errors": (
        "BundleCorrupt",
        "BundleNotFound",
        "ConditionsRejected",
        "DeviceUnavailable",
        "FaceNotFound",
        "FaceTooSmall",
        "FacesError",
        "ImageRejected",
        "MemoryModeUnknown",
        "ModelsError",
        "PipelineUnsupported",
        "PoolFileRejected",
        "PrecisionRefused",
        "SeveralFaces",
        "TokensRejected",
    ),
    "faces": ("Face", "FaceAnalyser", "choose_face"),
    "images": ("ImageSource", "read_image"),
    "key_values": ("KeyValueLayout", "KeyValues", "RowConditions"),
    "manifest": (
        "BundleDescription",
        "BundleManifest",
        "ComponentDescription",
        "ComponentKind",
        "Defaults",
        "Draws",
        "FacesSettings",
    ),
    "masks": ("read_mask",),
    "memory_modes": (
        "MEMORY_MODES",
        "AppliedMemory",
        "MemoryMode",
        "apply_memory_mode",
        "memory_mode",
    ),
    "precision": (
        "PRECISIONS",
        "Precision",
        "choose_device",
        "choose_precision",
        "resolve_precision",
    ),
    "prefix_files": ("PoolIndex", "load_pool", "read_pool_index", "save_pool"),
    "prefix_states": ("PrefixStates", "PromptStates"),
    "quantisation": (
        "Quantised",
        "check_loss",
        "loss_refusal",
        "quantise_denoiser",
        "weight_bytes",
    ),
    "quiet": ("quiet_libraries",),
    "text_encoder": ("PrefixCachedTextEncoder", "TextStates"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CROP_LANDMARKS",
    "CROP_SIZE",
    "align_face",
    "AppliedMemory",
    "Bundle",
    "BundleCorrupt",
    "BundleDescription",
    "BundleManifest",
    "BundleNotFound",
    "ComponentDescription",
    "ComponentKind",
    "Components",
    "ConditionsRejected",
    "Defaults",
    "DenoiserModule",
    "DeviceUnavailable",
    "Drawn",
    "Draws",
    "Face",
    "FaceAnalyser",
    "FaceNotFound",
    "FaceTooSmall",
    "FacesError",
    "FacesSettings",
    "ImageRejected",
    "ImageSource",
    "KeyValueDenoiser",
    "KeyValueLayout",
    "KeyValues",
    "MEMORY_MODES",
    "MemoryMode",
    "MemoryModeUnknown",
    "ModelsError",
    "PRECISIONS",
    "PipelineUnsupported",
    "PoolFileRejected",
    "PoolIndex",
    "Precision",
    "PrecisionRefused",
    "PrefixCachedTextEncoder",
    "PrefixStates",
    "Projections",
    "PromptStates",
    "Quantised",
    "RowConditions",
    "SeveralFaces",
    "TextStates",
    "TokensRejected",
    "apply_memory_mode",
    "bundle_directories",
    "check_loss",
    "choose_device",
    "choose_face",
    "choose_precision",
    "list_bundles",
    "load_components",
    "load_pool",
    "loss_refusal",
    "memory_mode",
    "open_bundle",
    "quantise_denoiser",
    "quiet_libraries",
    "read_image",
    "read_mask",
    "read_pool_index",
    "release_team",
    "resolve_precision",
    "save_pool",
    "seal_bundle",
    "single_threaded",
    "verify_bundle",
    "weight_bytes",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
