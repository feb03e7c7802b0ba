"""Files on disk → callables: bundles, loading, faces, photographs, precision.

Importing this package costs nothing; torch, diffusers and the rest arrive with the first name that
needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from models.quiet import quiet_imports

if TYPE_CHECKING:
    from models.adapters.lora import LoraWeights, read_lora
    from models.adapters.stack import AdapterStack, AppliedAdapter
    from models.alignment import CROP_LANDMARKS, CROP_SIZE, align_face
    from models.backends.backend import BACKENDS, Runner, backend_named
    from models.backends.build import build_engines, example_rows
    from models.backends.denoiser_engines import DenoiserEngines
    from models.backends.engines import Engines, Found
    from models.backends.graph import decoder_graph
    from models.backends.store import EngineEntry, EngineStore, engines_root
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
        AdapterRejected,
        BackendUnavailable,
        BundleCorrupt,
        BundleNotFound,
        ConditionsRejected,
        DeviceUnavailable,
        EngineRefused,
        FaceNotFound,
        FacePackRejected,
        FacesError,
        FaceTooSmall,
        ImageRejected,
        LicenceRefused,
        MemoryModeUnknown,
        ModelsError,
        PipelineUnsupported,
        PoolFileRejected,
        PrecisionRefused,
        PullBusy,
        PullFailed,
        SeveralFaces,
        SourceRejected,
        TokensRejected,
    )
    from models.face_packs import FacePack, NetworkKind, PackFile, find_face_pack
    from models.face_sources import BundleFaces, recogniser_warning
    from models.faces import Face, FaceAnalyser, choose_face
    from models.identity import FACEID, FaceIDWeights, install_faceid, read_faceid
    from models.images import ImageSource, read_image
    from models.key_values import KeyValueLayout, KeyValues, RowConditions
    from models.layouts import TextTower
    from models.manifest import (
        BundleDescription,
        BundleManifest,
        ComponentDescription,
        ComponentKind,
        Defaults,
        Draws,
        FacesSettings,
        FewSteps,
        SchedulerName,
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
    from models.pulling import (
        Licence,
        PlannedFile,
        PullPlan,
        Source,
        SourceFile,
        is_begun,
        is_here,
        list_sources,
        mend_bundle,
        plan_pull,
        pull_bundle,
        read_source,
        removable,
        remove_bundle,
        source_example,
    )
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
    "adapters.lora": ("LoraWeights", "read_lora"),
    "adapters.stack": ("AdapterStack", "AppliedAdapter"),
    "alignment": ("CROP_LANDMARKS", "CROP_SIZE", "align_face"),
    "backends.backend": ("BACKENDS", "Runner", "backend_named"),
    "backends.build": ("build_engines", "example_rows"),
    "backends.denoiser_engines": ("DenoiserEngines",),
    "backends.engines": ("Engines", "Found"),
    "backends.graph": ("decoder_graph",),
    "backends.store": ("EngineEntry", "EngineStore", "engines_root"),
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
        "BackendUnavailable",
        "AdapterRejected",
        "BundleCorrupt",
        "BundleNotFound",
        "ConditionsRejected",
        "DeviceUnavailable",
        "EngineRefused",
        "FaceNotFound",
        "FacePackRejected",
        "FaceTooSmall",
        "FacesError",
        "ImageRejected",
        "LicenceRefused",
        "ModelsError",
        "PipelineUnsupported",
        "PoolFileRejected",
        "MemoryModeUnknown",
        "PrecisionRefused",
        "PullBusy",
        "PullFailed",
        "SeveralFaces",
        "SourceRejected",
        "TokensRejected",
    ),
    "face_packs": ("FacePack", "NetworkKind", "PackFile", "find_face_pack"),
    "face_sources": ("BundleFaces", "recogniser_warning"),
    "faces": ("Face", "FaceAnalyser", "choose_face"),
    "identity": ("FACEID", "FaceIDWeights", "install_faceid", "read_faceid"),
    "images": ("ImageSource", "read_image"),
    "key_values": ("KeyValueLayout", "KeyValues", "RowConditions"),
    "layouts": ("TextTower",),
    "manifest": (
        "BundleDescription",
        "BundleManifest",
        "ComponentDescription",
        "ComponentKind",
        "Defaults",
        "Draws",
        "FacesSettings",
        "FewSteps",
        "SchedulerName",
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
    "pulling": (
        "Licence",
        "PlannedFile",
        "PullPlan",
        "Source",
        "SourceFile",
        "is_begun",
        "is_here",
        "list_sources",
        "mend_bundle",
        "plan_pull",
        "pull_bundle",
        "read_source",
        "removable",
        "remove_bundle",
        "source_example",
    ),
    "quantisation": (
        "Quantised",
        "check_loss",
        "loss_refusal",
        "quantise_denoiser",
        "weight_bytes",
    ),
    "quiet": ("quiet_imports", "quiet_libraries"),
    "text_encoder": ("PrefixCachedTextEncoder", "TextStates"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FewSteps",
    "SchedulerName",
    "CROP_LANDMARKS",
    "CROP_SIZE",
    "FACEID",
    "align_face",
    "BACKENDS",
    "BackendUnavailable",
    "AdapterRejected",
    "AdapterStack",
    "AppliedAdapter",
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
    "DenoiserEngines",
    "DenoiserModule",
    "DeviceUnavailable",
    "Drawn",
    "Draws",
    "BundleFaces",
    "EngineEntry",
    "EngineRefused",
    "EngineStore",
    "Engines",
    "Face",
    "FaceAnalyser",
    "FaceIDWeights",
    "FaceNotFound",
    "FacePack",
    "FacePackRejected",
    "FaceTooSmall",
    "FacesError",
    "FacesSettings",
    "Found",
    "ImageRejected",
    "ImageSource",
    "KeyValueDenoiser",
    "KeyValueLayout",
    "KeyValues",
    "LoraWeights",
    "Licence",
    "LicenceRefused",
    "ModelsError",
    "NetworkKind",
    "PackFile",
    "MEMORY_MODES",
    "MemoryMode",
    "MemoryModeUnknown",
    "PRECISIONS",
    "PipelineUnsupported",
    "PlannedFile",
    "PoolFileRejected",
    "PoolIndex",
    "Precision",
    "PrecisionRefused",
    "PrefixCachedTextEncoder",
    "PrefixStates",
    "Projections",
    "PromptStates",
    "PullBusy",
    "PullFailed",
    "PullPlan",
    "Quantised",
    "RowConditions",
    "Runner",
    "SeveralFaces",
    "Source",
    "SourceFile",
    "SourceRejected",
    "TextStates",
    "TextTower",
    "TokensRejected",
    "backend_named",
    "build_engines",
    "apply_memory_mode",
    "bundle_directories",
    "check_loss",
    "choose_device",
    "choose_face",
    "choose_precision",
    "decoder_graph",
    "engines_root",
    "example_rows",
    "find_face_pack",
    "install_faceid",
    "is_begun",
    "is_here",
    "list_bundles",
    "list_sources",
    "load_components",
    "load_pool",
    "mend_bundle",
    "open_bundle",
    "plan_pull",
    "pull_bundle",
    "loss_refusal",
    "memory_mode",
    "quantise_denoiser",
    "quiet_imports",
    "quiet_libraries",
    "read_faceid",
    "read_image",
    "read_lora",
    "read_mask",
    "read_pool_index",
    "recogniser_warning",
    "read_source",
    "release_team",
    "removable",
    "remove_bundle",
    "resolve_precision",
    "save_pool",
    "seal_bundle",
    "single_threaded",
    "source_example",
    "verify_bundle",
    "weight_bytes",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with quiet_imports():
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
