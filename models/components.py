"""The callables a portrait is drawn with, loaded strictly through diffusers' and transformers' own
classes, from a bundle or from a pipeline that someone else has loaded.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch

from models.bundle import Bundle
from models.errors import BundleCorrupt, PipelineUnsupported
from models.identity import check_faceid, install_faceid, read_faceid
from models.manifest import ComponentKind
from models.precision import choose_device, choose_precision
from models.quiet import quiet_libraries

with quiet_libraries():
    import diffusers
    from diffusers import (
        AutoencoderKL,
        AutoencoderTiny,
        SchedulerMixin,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from diffusers.models.embeddings import (
        IPAdapterFaceIDImageProjection,
        MultiIPAdapterImageProjection,
    )
    from transformers import CLIPTextModel, CLIPTokenizer

_LIBRARY_CLASSES = {
    "unet": {"UNet2DConditionModel": UNet2DConditionModel},
    "vae": {"AutoencoderTiny": AutoencoderTiny, "AutoencoderKL": AutoencoderKL},
    "text_encoder": {"CLIPTextModel": CLIPTextModel},
    "tokenizer": {"CLIPTokenizer": CLIPTokenizer, "CLIPTokenizerFast": CLIPTokenizer},
}


class Scheduler(Protocol):
    """What a diffusers scheduler is to us: its configuration; the sampler uses the rest."""

    config: Any

    @classmethod
    def from_config(cls, config: Any) -> Any: ...


@dataclass(frozen=True, eq=False)
class Components:
    """Everything that draws, on one device and in one precision, in evaluation mode.

    image_size: side in pixels of the pictures the denoiser was trained on.
    bundle_digest: of the weights' files, where they came from a bundle.
    """

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderTiny | AutoencoderKL
    scheduler: Scheduler
    device: torch.device
    dtype: torch.dtype
    image_size: int
    bundle_digest: str | None = None

    @classmethod
    def from_pipeline(cls, pipeline: StableDiffusionPipeline) -> Components:
        """The parts of a pipeline, shared and not copied, with FaceID if it is loaded.

        Raises PipelineUnsupported for another family of pipelines, for a denoiser that takes more
        than latents (inpainting), for an adapter other than FaceID, and for several at once.
        """
        parts: dict[str, Any] = {}
        for name, classes in _LIBRARY_CLASSES.items():
            part = getattr(pipeline, name, None)
            if not isinstance(part, tuple(classes.values())):
                raise PipelineUnsupported(
                    f"{type(pipeline).__name__}.{name} is {type(part).__name__}, expected "
                    f"{' or '.join(classes)}; give a StableDiffusionPipeline"
                )
            parts[name] = part
        if getattr(pipeline, "text_encoder_2", None) is not None:
            raise PipelineUnsupported(
                f"{type(pipeline).__name__} has two text encoders; give a StableDiffusionPipeline"
            )
        unet = parts["unet"]
        _check_adapter(unet)
        if wrong := _mismatch(**parts):
            raise PipelineUnsupported(
                f"{wrong}; give a StableDiffusionPipeline that draws from text alone, not one for "
                "inpainting or editing"
            )
        return cls(
            **parts,
            scheduler=pipeline.scheduler,
            device=unet.device,
            dtype=unet.dtype,
            image_size=_sample_size(unet) * _scale_factor(parts["vae"]),
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

    def pipeline(self) -> StableDiffusionPipeline:
        """diffusers' own pipeline over the same weights, with a scheduler of its own."""
        with quiet_libraries():
            pipeline = _assemble(
                self.unet, self.vae, self.text_encoder, self.tokenizer, self.new_scheduler()
            )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @cached_property
    def digest(self) -> str:
        """sha256 of weights, precision and kind of device, as they were when it was first asked.

        For a bundle it comes from the manifest; for a pipeline every weight is read once.
        """
        content = self.bundle_digest or _weights_digest(self.text_encoder, self.unet, self.vae)
        parts = (content, str(self.dtype), self.device.type)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_components(
    bundle: Bundle, device: str | torch.device = "auto", precision: str | torch.dtype = "auto"
) -> Components:
    """Load a bundle's pipeline, and its FaceID adapter if it has one. Nothing is downloaded.

    Every key of every file must be there and be used. Raises BundleCorrupt, DeviceUnavailable.
    """
    chosen_device = choose_device(device)
    dtype = choose_precision(precision, chosen_device)
    root = bundle.path(ComponentKind.PIPELINE)
    names = _class_names(root)
    with quiet_libraries():
        unet = _model(root, "unet", names, torch_dtype=dtype)
        vae = _model(root, "vae", names, torch_dtype=dtype)
        text_encoder = _model(root, "text_encoder", names, dtype=dtype)
        with _loading(root / "tokenizer", "CLIPTokenizer"):
            tokenizer = CLIPTokenizer.from_pretrained(root / "tokenizer", local_files_only=True)
        scheduler = _scheduler(root, names)
        if wrong := _mismatch(tokenizer, text_encoder, unet, vae):
            raise BundleCorrupt(f"{root}: {wrong}; its parts do not belong together")
        pipeline = _assemble(unet, vae, text_encoder, tokenizer, scheduler)
        if bundle.has(ComponentKind.IDENTITY):
            file = _identity_file(bundle)
            with _loading(file, "FaceID"):
                weights = read_faceid(file)
                check_faceid(weights, unet)
                install_faceid(pipeline, weights)
    for module in (unet, vae, text_encoder):
        module.eval().requires_grad_(False).to(chosen_device)
    return Components(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        unet=unet,
        vae=vae,
        scheduler=scheduler,
        device=unet.device,
        dtype=dtype,
        image_size=bundle.manifest.size,
        bundle_digest=bundle.component_digest(ComponentKind.PIPELINE, ComponentKind.IDENTITY),
    )


@contextmanager
def _loading(path: Path, class_name: str) -> Iterator[None]:
    try:
        yield
    except (BundleCorrupt, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # tokenizers raises Exception itself, and a strange config.json anything at all.
        reason = " ".join(str(error).split())[:300]
        raise BundleCorrupt(
            f"{path} cannot be loaded as {class_name}: {reason}; verify the bundle"
        ) from error


def _class_names(root: Path) -> dict[str, str]:
    """Which class each part of the pipeline is, as model_index.json says and we allow."""
    file = root / "model_index.json"
    with _loading(file, "a pipeline's index"):
        index = json.loads(file.read_text(encoding="utf-8"))
        names = {
            part: value[1]
            for part, value in index.items()
            if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str)
        }
    for part, classes in _LIBRARY_CLASSES.items():
        if names.get(part) not in classes:
            raise BundleCorrupt(
                f"{file}: {part} is {names.get(part)}, expected {' or '.join(classes)}"
            )
    return names


def _model(root: Path, part: str, names: dict[str, str], **options: torch.dtype) -> Any:
    """One model with its loading report checked: no key missing, left over or of another shape."""
    directory, class_name = root / part, names[part]
    with _loading(directory, class_name):
        model, report = _LIBRARY_CLASSES[part][class_name].from_pretrained(
            directory,
            local_files_only=True,
            use_safetensors=True,
            low_cpu_mem_usage=True,
            output_loading_info=True,
            **options,
        )
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        found = sorted(map(str, report.get(problem, ())))
        if found:
            raise BundleCorrupt(
                f"{directory}: {len(found)} {problem.replace('_', ' ')}, the first {found[0]}; "
                "weights and config.json do not belong together"
            )
    return model


def _scheduler(root: Path, names: dict[str, str]) -> Scheduler:
    class_name = names.get("scheduler", "")
    found: Any = getattr(diffusers, class_name, None)
    if not _is_scheduler(found):
        raise BundleCorrupt(
            f"{root / 'model_index.json'}: {class_name!r} is no diffusers scheduler"
        )
    with _loading(root / "scheduler", class_name):
        scheduler: Scheduler = found.from_pretrained(root / "scheduler", local_files_only=True)
    return scheduler


def _is_scheduler(found: Any) -> bool:
    return inspect.isclass(found) and issubclass(found, SchedulerMixin)


def _mismatch(tokenizer: Any, text_encoder: Any, unet: Any, vae: Any) -> str | None:
    """In what the parts do not fit each other, if in anything."""
    pairs = (
        ("text states", text_encoder.config.hidden_size, unet.config.cross_attention_dim),
        ("latent channels", vae.config.latent_channels, unet.config.in_channels),
        ("noise channels", unet.config.out_channels, unet.config.in_channels),
    )
    for what, have, need in pairs:
        if have != need:
            return f"{what} are {have} wide, the denoiser takes {need}"
    if len(tokenizer) > text_encoder.config.vocab_size:
        return (
            f"the tokenizer knows {len(tokenizer)} tokens, the text encoder "
            f"{text_encoder.config.vocab_size}"
        )
    return None


def _identity_file(bundle: Bundle) -> Path:
    component = bundle.component(ComponentKind.IDENTITY)
    found = [path for path in component.files if path.endswith(".safetensors")]
    directory = bundle.directory / component.path
    if len(found) != 1:
        raise BundleCorrupt(f"{directory} has {len(found)} safetensors files, expected one")
    return directory / found[0]


def _assemble(
    unet: Any, vae: Any, text_encoder: Any, tokenizer: Any, scheduler: Any
) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


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
