"""Where an engine's models come from: a bundle, or a diffusers pipeline in memory. Both lazily."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import torch

from cache import OnceEach, digest
from fusion.backends import AUTO, EAGER, DrawerBackend, checked_backend
from fusion.denoiser import RowDenoiser, identity_processors
from fusion.errors import FaceAnalysisMissing, IdentityUnsupported, InvalidRequest
from fusion.placement import FacePlacement
from fusion.request import FusionRequest
from fusion.resolved import RequestDefaults
from fusion.stages.analyse import Analyser
from models import (
    AdapterStack,
    AppliedAdapter,
    Bundle,
    ComponentKind,
    Components,
    FaceAnalyser,
    MemoryMode,
    Precision,
    TextTower,
    apply_memory_mode,
    choose_device,
    engines_root,
    find_face_pack,
    load_components,
    memory_mode,
    quantise_denoiser,
    recogniser_warning,
    resolve_precision,
    weight_bytes,
)

PIPELINE_STEPS = 50  # what diffusers' pipelines do when nothing is said
PIPELINE_AUTO_STEPS = (15, 30)
AUTO_STEPS = (0.75, 1.5)  # of the steps a bundle was made for: 15 to 30 of 20
PIPELINE_STRENGTH = 0.6


@dataclass(frozen=True)
class Drawer:
    """Models that are loaded. factor: pixels per latent; channels: of the latents. upcasts, zeroes:
    as `Components` has them. loaded_with: the adapters of then. done: all that was done to them as
    they were loaded; told: what of it a trace should tell.
    """

    towers: tuple[TextTower, ...]
    vae: Any
    scheduler: Any
    denoiser: RowDenoiser
    device: torch.device
    factor: int
    channels: int
    adapters: AdapterStack
    upcasts: bool = False
    zeroes: bool = False
    backend: DrawerBackend = field(default_factory=lambda: DrawerBackend(EAGER))
    loaded_with: tuple[AppliedAdapter, ...] = ()
    done: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def tokenizer(self) -> Any:
        """The first text encoder's: all split words alike."""
        return self.towers[0].tokenizer

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the adapters that came, went or were scaled since the models were loaded."""
        return tuple(sorted({one.name for one in {*self.adapters.adapters} ^ {*self.loaded_with}}))

    @property
    def dtype(self) -> torch.dtype:
        """Of the latents: the last text encoder's, as diffusers' pipeline has it."""
        dtype: torch.dtype = self.towers[-1].encoder.dtype
        return dtype

    @classmethod
    def of(
        cls, components: Components, pack: bool = False, backend: DrawerBackend | None = None
    ) -> Drawer:
        """pack: lay weights out for this device where that is faster (see KeyValueDenoiser); only
        for models that are the drawer's own. Equal to rounding. backend: without, eager.

        Raises PipelineUnsupported.
        """
        if pack:
            components.vae.to(memory_format=torch.channels_last)  # decodes faster
            if components.device.type == "cuda":
                components.unet.to(memory_format=torch.channels_last)
        backend = backend or DrawerBackend(EAGER)
        return cls(
            towers=components.towers,
            vae=components.vae,
            scheduler=components.scheduler,
            denoiser=RowDenoiser(components.unet, pack, backend.denoiser),
            device=components.device,
            factor=components.scale_factor,
            channels=int(components.unet.config.in_channels),
            adapters=components.adapters,
            upcasts=components.upcasts,
            zeroes=components.zeroes,
            backend=backend,
            loaded_with=components.adapters.adapters,
        )


class ModelSource(Protocol):
    """What an engine draws with."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def defaults(self) -> RequestDefaults: ...
    @property
    def knows_identities(self) -> bool: ...
    @property
    def analyser(self) -> Analyser | None: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...
    @property
    def placement(self) -> FacePlacement | None: ...
    @property
    def loaded(self) -> bool: ...
    def drawer(self) -> Drawer: ...
    def own_drawer(self) -> Drawer: ...
    def release(self) -> None: ...


# Weights never change once they are loaded, so engines of one process share them by content.
_DRAWERS: Final[OnceEach[Drawer]] = OnceEach()
_ANALYSERS: Final[OnceEach[FaceAnalyser]] = OnceEach()


class BundleSource:
    """A bundle: its description at once, its models on first use, once in a process."""

    def __init__(
        self,
        bundle: Bundle,
        device: str | torch.device,
        precision: str | torch.dtype | Precision = "auto",
        backend: str = AUTO,
        face_pack: str | Path | None = None,
        memory: str | MemoryMode = "normal",
    ) -> None:
        """face_pack: an InsightFace pack's name or folder, in the place of the bundle's own.

        Raises FacePackRejected, DeviceUnavailable, MemoryModeUnknown, and BackendUnavailable where
        neither precision nor memory mode goes with it.
        """
        self._bundle = bundle
        self._device = choose_device(device)
        self.precision = resolve_precision(precision, self._device)
        self.memory = memory_mode(memory)
        self._backend = checked_backend(backend, self._device, self.precision, self.memory)
        self._drawer: Drawer | None = None
        self._owner = ""  # in the key of models that are not shared
        manifest = bundle.manifest
        self.name = bundle.name
        self.warnings: tuple[str, ...] = ()
        self._analyser: Analyser | None = None
        self._pack = None if face_pack is None else find_face_pack(face_pack)
        if self._pack is not None and (said := recogniser_warning(self._pack, bundle)):
            self.warnings += (said,)
        known = manifest.faces.placement if manifest.faces else None
        self.placement = FacePlacement(*known) if known else None
        self.defaults = RequestDefaults(
            steps=manifest.defaults.steps,
            auto_steps=_auto_steps(manifest.defaults.steps),
            few_steps=manifest.defaults.few_steps,
            guidance_scale=manifest.defaults.guidance_scale,
            identity_scale=manifest.defaults.identity_scale,
            strength=manifest.defaults.strength,
            size=(manifest.size, manifest.size),
            negative_prompt=manifest.defaults.negative_prompt,
        )

    @property
    def analyser(self) -> Analyser | None:
        """What finds faces, if there is a face pack; its files are read when it is used."""
        analyser, bundle, pack = self._analyser, self._bundle, self._pack
        device = str(self._device)
        if analyser is not None:
            return analyser
        if pack is not None:
            kept = digest([pack.digest, pack.settings.model_dump_json(), device])
            analyser = _ANALYSERS.get(kept, lambda: FaceAnalyser.of_pack(pack, device=device))
        elif bundle.has(ComponentKind.FACES):
            place = str(bundle.path(ComponentKind.FACES).resolve())
            kept = digest([bundle.manifest.model_dump_json(), place, device])
            analyser = _ANALYSERS.get(kept, lambda: FaceAnalyser(bundle, device))
        self._analyser = analyser
        return analyser

    @property
    def loaded(self) -> bool:
        """Whether the models are in memory."""
        return self._drawer is not None

    @property
    def digest(self) -> str:
        """Of the bundle, and of the adapters where these were changed."""
        drawer = self._drawer
        if drawer is None or not self._owner:
            return self._bundle.digest
        return digest([self._bundle.digest, drawer.adapters.digest])

    @property
    def knows_identities(self) -> bool:
        """Whether a FaceID is on, or will be."""
        drawer = self._drawer
        if drawer is None:
            return self._bundle.has(ComponentKind.IDENTITY)
        # As the stack says, which is whole while the models are being changed.
        return any(adapter.is_identity for adapter in drawer.adapters.adapters)

    def release(self) -> None:
        """Let go of the models: they leave memory with the last engine that uses them, and are
        loaded again by the next use.
        """
        self._drawer = self._analyser = None
        self._owner = ""

    def drawer(self) -> Drawer:
        """The models, loaded if need be. Raises BundleCorrupt, DeviceUnavailable."""
        drawer = self._drawer  # another thread may release it meanwhile
        if drawer is None:
            described = self._bundle.manifest.model_dump_json()
            drawn_by = [str(self._device), self.precision.key, self.memory.name, self._backend]
            kept = digest([described, *drawn_by, str(engines_root()), self._owner])
            drawer = _DRAWERS.get(kept, self._load)
            self._drawer = drawer
        return drawer

    def own_drawer(self) -> Drawer:
        """The models, loaded once more unless they are this source's alone: to be changed."""
        if not self._owner:
            self._owner, self._drawer = uuid4().hex, None
        return self.drawer()

    @property
    def weight_bytes(self) -> int:
        """Bytes that the loaded denoiser's, autoencoder's and text encoders' weights take."""
        drawer = self.drawer()
        encoders = (tower.encoder for tower in drawer.towers)
        return weight_bytes(drawer.denoiser.given.unet, drawer.vae, *encoders)

    def _load(self) -> Drawer:
        components = load_components(self._bundle, self._device, self.precision.dtype)
        notes: list[str] = []
        if self.precision.quantised:
            done = quantise_denoiser(components.unet)
            notes.append(f"precision int8: {done.layers} layers of the denoiser")
        backend = DrawerBackend(self._backend)
        drawer = Drawer.of(components, pack=self.memory.pack_weights, backend=backend)
        encoders = [tower.encoder for tower in drawer.towers]
        applied = apply_memory_mode(
            self.memory, components.unet, components.vae, encoders, components.device
        )
        low = applied.notes if self.memory.name == "low" else ()
        drawer = replace(
            drawer,
            done=(*notes, *applied.notes),
            told=(*notes, *(f"memory low: {said}" for said in low)),
        )
        side = components.image_size // drawer.factor
        vae = None if drawer.upcasts else drawer.vae
        drawer.backend.build(drawer.denoiser.given, vae, (side, side), self.name)
        return drawer


class PipelineSource:
    """A pipeline of diffusers' in memory, which stays as it is."""

    name = "diffusers"
    digest = ""  # its weights are their owner's, who may change them at any time
    loaded = True

    def __init__(self, pipe: Any, analyser: Analyser | None) -> None:
        """Raises PipelineUnsupported for a pipeline the engine cannot draw with."""
        components = Components.from_pipeline(pipe)
        self._drawer = Drawer.of(components)
        self.analyser = analyser
        side = components.image_size
        scales = {scale for one in identity_processors(components.unet) for scale in one.scale}
        self.defaults = RequestDefaults(
            steps=PIPELINE_STEPS,
            auto_steps=PIPELINE_AUTO_STEPS,
            guidance_scale=components.layout.guidance_scale,
            identity_scale=float(*scales) if len(scales) == 1 else 1.0,
            strength=PIPELINE_STRENGTH,
            size=(side, side),
        )
        self.placement: FacePlacement | None = None
        self.warnings: tuple[str, ...] = ()
        if getattr(pipe, "safety_checker", None) is not None:
            self.warnings += ("the pipeline's safety checker was not run",)
        if getattr(pipe, "watermark", None) is not None:
            self.warnings += ("the pipeline's invisible watermark was not added",)
        if len(scales) > 1:
            self.warnings += (
                "the pipeline's adapter has a scale of its own in each block; all were drawn with "
                "the one identity_scale",
            )

    @property
    def knows_identities(self) -> bool:
        """Whether a FaceID is loaded."""
        return self._drawer.denoiser.given.has_identity

    def drawer(self) -> Drawer:
        """The pipeline's models."""
        return self._drawer

    own_drawer = drawer

    def release(self) -> None:
        """Nothing: the models are the pipeline's."""


def _auto_steps(usual: int) -> tuple[int, int]:
    fewest, most = (round(usual * share) for share in AUTO_STEPS)
    return max(fewest, 1), max(most, 1)


def check_supported(request: FusionRequest, source: ModelSource) -> None:
    """Whether this engine has what the request needs, before anything is read.

    Raises InvalidRequest, IdentityUnsupported, FaceAnalysisMissing.
    """
    if request.min_identity is not None and not (request.identities or request.target is not None):
        raise InvalidRequest("min_identity needs somebody to be like: give an identity")
    wants_identity = bool(request.identities) or request.min_identity is not None
    if wants_identity and not source.knows_identities:
        raise IdentityUnsupported(
            f"{source.name} has no FaceID adapter: leave identities out, or use another bundle"
        )
    if source.analyser is not None:
        return
    pictures = any(identity.image is not None for identity in request.identities)
    if pictures or request.target is not None:
        raise FaceAnalysisMissing(
            "this engine has no face analysis: give identities as embeddings and no target, "
            "or give the engine an analyser"
        )
    if request.min_identity is not None:
        raise FaceAnalysisMissing("min_identity needs face analysis: give the engine an analyser")
