"""The callables a portrait is drawn with, loaded through diffusers' and transformers' own classes,
from a bundle or from a pipeline that someone else has loaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from cache import Digest, digest
from models.adapters.lora import read_lora
from models.adapters.stack import AdapterStack
from models.bundle import Bundle
from models.errors import BundleCorrupt, PipelineUnsupported
from models.identity import FACEID, read_faceid
from models.layouts import LAYOUTS, NAMES, STABLE_DIFFUSION, PipelineLayout, TextTower
from models.manifest import Component, ComponentKind
from models.parts import Scheduler, load_part, load_scheduler, loading, read_index
from models.precision import choose_device, choose_precision
from models.quiet import quiet_libraries

with quiet_libraries():
    from diffusers import (
        AutoencoderKL,
        AutoencoderTiny,
        DiffusionPipeline,
        UNet2DConditionModel,
    )
    from diffusers.models.embeddings import (
        IPAdapterFaceIDImageProjection,
        MultiIPAdapterImageProjection,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer


@dataclass(frozen=True, eq=False)
class Components:
    """Everything that draws, on one device and in one precision, in evaluation mode.

    towers: the text encoders; image_size: side in pixels of the pictures the denoiser was trained
    on. zeroes: whether the negative branch is zeros where nothing is said against, as SDXL was
    trained. adapters: what is merged into the weights, and may be changed. bundle_digest: of the
    weights' files, where they came from a bundle.
    """

    layout: PipelineLayout
    towers: tuple[TextTower, ...]
    unet: UNet2DConditionModel
    vae: AutoencoderTiny | AutoencoderKL
    scheduler: Scheduler
    device: torch.device
    dtype: torch.dtype
    image_size: int
    adapters: AdapterStack
    zeroes: bool = False
    bundle_digest: str | None = None

    @classmethod
    def from_pipeline(cls, pipeline: DiffusionPipeline) -> Components:
        """The parts of a StableDiffusionPipeline or StableDiffusionXLPipeline, shared and not
        copied, with FaceID if it is loaded.

        Raises PipelineUnsupported for another family of pipelines (a refiner among them), for a
        denoiser that takes more than latents (inpainting), for an adapter other than FaceID, and
        for several at once.
        """
        layout = next(
            (each for each in LAYOUTS if isinstance(pipeline, each.pipeline)), STABLE_DIFFUSION
        )
        kind = type(pipeline).__name__
        parts: dict[str, Any] = {}
        for name, classes in layout.parts.items():
            part = getattr(pipeline, name, None)
            if not isinstance(part, tuple(classes.values())):
                raise PipelineUnsupported(
                    f"{kind}.{name} is {type(part).__name__}, expected {' or '.join(classes)}; "
                    f"give a {NAMES}"
                )
            parts[name] = part
        if len(layout.towers) == 1 and getattr(pipeline, "text_encoder_2", None) is not None:
            raise PipelineUnsupported(f"{kind} has two text encoders; give a {NAMES}")
        unet, towers = parts["unet"], layout.towers_of(parts)
        _check_adapter(unet)
        if wrong := _mismatch(layout, towers, unet, parts["vae"]):
            raise PipelineUnsupported(
                f"{wrong}; give a {NAMES} that draws from text alone, not one for inpainting, "
                "editing or refining"
            )
        return cls(
            layout=layout,
            towers=towers,
            unet=unet,
            vae=parts["vae"],
            scheduler=pipeline.scheduler,
            device=unet.device,
            dtype=unet.dtype,
            image_size=_sample_size(unet) * _scale_factor(parts["vae"]),
            adapters=AdapterStack(unet, *(tower.encoder for tower in towers)),
            zeroes=layout.zeroes and bool(pipeline.config.force_zeros_for_empty_prompt),
        )

    @property
    def tokenizer(self) -> CLIPTokenizer:
        """The first tower's: all towers' split words alike."""
        return self.towers[0].tokenizer

    @property
    def text_encoder(self) -> CLIPTextModel | CLIPTextModelWithProjection:
        """The first tower's."""
        return self.towers[0].encoder

    @property
    def upcasts(self) -> bool:
        """Whether the autoencoder overflows in its precision, and diffusers uses float32."""
        return (
            self.layout.upcasts
            and self.vae.dtype is torch.float16
            and bool(self.vae.config.force_upcast)
        )

    @property
    def has_identity(self) -> bool:
        """Whether a FaceID adapter is loaded."""
        return isinstance(self.unet.encoder_hid_proj, MultiIPAdapterImageProjection)

    @property
    def scale_factor(self) -> int:
        """Pixels per latent, each way."""
        return _scale_factor(self.vae)

    @property
    def identity_tokens(self) -> int:
        """Tokens that one embedding becomes; 0 without FaceID."""
        return int(self._projection.num_tokens) if self.has_identity else 0

    @property
    def _projection(self) -> IPAdapterFaceIDImageProjection:
        return self.unet.encoder_hid_proj.image_projection_layers[0]

    @torch.inference_mode()
    def identity_states(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Cross-attention states of identities: [n, 512] → [n, identity_tokens, width].

        embeddings: unit length; zeros are the unconditional branch. Any device and dtype; the
        result is on the components' own. Raises PipelineUnsupported without FaceID.
        """
        if not self.has_identity:
            raise PipelineUnsupported("no FaceID adapter is loaded, so no identity can be given")
        states: torch.Tensor = self._projection(embeddings.to(self.device, self.dtype))
        return states

    def new_scheduler(self) -> Any:
        """A fresh scheduler of the same configuration: schedulers keep state between steps."""
        return type(self.scheduler).from_config(self.scheduler.config)

    def pipeline(self) -> DiffusionPipeline:
        """diffusers' own pipeline over the same weights, with a scheduler of its own."""
        with quiet_libraries():
            pipeline = self.layout.assemble(
                self.towers, self.unet, self.vae, self.new_scheduler(), self.zeroes
            )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @property
    def digest(self) -> Digest:
        """Of weights, adapters, precision and kind of device. Weights count as they were when it
        was first asked: for a bundle by its manifest; of a pipeline every one is read once.
        """
        return digest([self._content, self.adapters.digest, str(self.dtype), self.device.type])

    @cached_property
    def _content(self) -> str:
        models = (*(tower.encoder for tower in self.towers), self.unet, self.vae)
        return self.bundle_digest or _weights_digest(*models)


def load_components(
    bundle: Bundle, device: str | torch.device = "auto", precision: str | torch.dtype = "auto"
) -> Components:
    """Load a bundle's pipeline, its FaceID adapter if it has one, and its LoRA. Nothing is
    downloaded.

    Every key of every file must be there and be used. Raises BundleCorrupt, DeviceUnavailable.
    """
    chosen_device = choose_device(device)
    dtype = choose_precision(precision, chosen_device)
    root = bundle.path(ComponentKind.PIPELINE)
    index = read_index(root)
    layout = index.layout
    with quiet_libraries():
        parts = {
            part: load_part(root / part, classes[index.classes[part]], dtype)
            for part, classes in layout.parts.items()
        }
        unet, vae, towers = parts["unet"], parts["vae"], layout.towers_of(parts)
        scheduler = load_scheduler(root, index.classes)
        if wrong := _mismatch(layout, towers, unet, vae):
            raise BundleCorrupt(f"{root}: {wrong}; its parts do not belong together")
        adapters = AdapterStack(unet, *(tower.encoder for tower in towers))
        if bundle.has(ComponentKind.IDENTITY):
            file = _only_file(bundle, bundle.component(ComponentKind.IDENTITY))
            with loading(file, "FaceID"):
                adapters.add(read_faceid(file), FACEID)
        for component in bundle.components_of(ComponentKind.LORA):
            file = _only_file(bundle, component)
            with loading(file, "a LoRA"):
                adapters.add(read_lora(file), component.name, component.scale)
    for module in (unet, vae, *(tower.encoder for tower in towers)):
        module.eval().requires_grad_(False).to(chosen_device)
    return Components(
        layout=layout,
        towers=towers,
        unet=unet,
        vae=vae,
        scheduler=scheduler,
        device=unet.device,
        dtype=dtype,
        image_size=bundle.manifest.size,
        adapters=adapters,
        zeroes=index.zeroes,
        bundle_digest=bundle.component_digest(ComponentKind.PIPELINE),
    )


def _mismatch(
    layout: PipelineLayout, towers: tuple[TextTower, ...], unet: Any, vae: Any
) -> str | None:
    """In what the parts do not fit each other, if in anything."""
    if unet.config.addition_embed_type != layout.added:
        return (
            f"the denoiser takes {unet.config.addition_embed_type} beside text, a {layout.name}'s "
            f"{layout.added}"
        )
    pairs = [
        ("text states", sum(tower.width for tower in towers), unet.config.cross_attention_dim),
        ("latent channels", vae.config.latent_channels, unet.config.in_channels),
        ("noise channels", unet.config.out_channels, unet.config.in_channels),
    ]
    if layout.added is not None:
        given = 6 * unet.config.addition_time_embed_dim + towers[-1].encoder.config.projection_dim
        needed = unet.config.projection_class_embeddings_input_dim
        pairs.append(("pooled text and sizes", given, needed))
    for what, have, need in pairs:
        if have != need:
            return f"{what} are {have} wide, the denoiser takes {need}"
    for tower in towers:
        known = tower.encoder.config.vocab_size
        if len(tower.tokenizer) > known:
            return f"the tokenizer knows {len(tower.tokenizer)} tokens, the text encoder {known}"
    if any(vae.config.get(name) is not None for name in ("latents_mean", "latents_std")):
        return "the autoencoder's latents have a mean and deviation of their own"
    return None


def _only_file(bundle: Bundle, component: Component) -> Path:
    found = [path for path in component.files if path.endswith(".safetensors")]
    directory = bundle.directory / component.path
    if len(found) != 1:
        raise BundleCorrupt(f"{directory} has {len(found)} safetensors files, expected one")
    return directory / found[0]


def _check_adapter(unet: UNet2DConditionModel) -> None:
    projection = unet.encoder_hid_proj
    if projection is None:
        return
    layers = list(getattr(projection, "image_projection_layers", []))
    if len(layers) != 1 or not isinstance(layers[0], IPAdapterFaceIDImageProjection):
        kinds = ", ".join(type(layer).__name__ for layer in layers) or type(projection).__name__
        raise PipelineUnsupported(
            f"the pipeline's adapter is {kinds}, expected one IP-Adapter FaceID or none; "
            "unload it with unload_ip_adapter()"
        )


def _sample_size(unet: UNet2DConditionModel) -> int:
    size = unet.config.sample_size
    return int(size) if isinstance(size, int) else int(max(size))


def _scale_factor(vae: AutoencoderTiny | AutoencoderKL) -> int:
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def _weights_digest(*modules: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            raw = tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().data)
    return digest.hexdigest()
