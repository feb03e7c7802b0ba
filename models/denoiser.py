"""The denoiser: noise of any rows from their latents, timesteps, and K and V computed before.

Text and identities become keys and values once per conditioning, not once per step, and nothing of
a request is kept by the UNet. One graph serves any face and any prompt: what differs is an input.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import (
    IPAdapterFaceIDImageProjection,
    MultiIPAdapterImageProjection,
)
from torch import Tensor, nn

from cache import Digest, digest
from models.backends.denoiser_engines import DenoiserEngines
from models.denoiser_module import DenoiserModule, Drawn
from models.denoiser_view import DenoiserView, Given
from models.errors import ConditionsRejected, PipelineUnsupported
from models.key_values import KeyValueLayout, KeyValues, RowConditions
from models.packed_convolution import packing_pays
from models.text_fingerprint import WeightsWatch


class Projections(NamedTuple):
    """Rows of text, and of identities, that became keys and values so far."""

    text: int = 0
    identity: int = 0


@dataclass(frozen=True, eq=False)
class _Parts:
    """What is made of a UNet as it is."""

    view: DenoiserView
    module: DenoiserModule
    plain: DenoiserModule  # without packed convolutions, which no other backend knows
    watch: WeightsWatch

    @classmethod
    def of(cls, unet: UNet2DConditionModel, packed: bool) -> _Parts:
        view = DenoiserView.of(unet, packed)
        projecting = [part for layer in view.layers for part in (layer.to_k, layer.to_v)]
        if view.identities:
            _check_projection(unet.encoder_hid_proj)
            projecting += [unet.encoder_hid_proj, *view.identities]
        module = DenoiserModule(view.unet)
        plain = DenoiserModule(DenoiserView.of(unet).unet) if packed else module
        parts = cls(view, module, plain, WeightsWatch(nn.ModuleList(projecting)))
        if packed:
            parts.pack(unet)
        return parts

    def pack(self, unet: UNet2DConditionModel) -> None:
        """Let the convolutions prepare for the size the model was trained on, and for no other."""
        config: Any = unet.config
        side = config.sample_size
        height, width = (side, side) if isinstance(side, int) else side
        rows = 1
        with torch.no_grad():
            self.module(
                torch.zeros(rows, config.in_channels, height, width),
                torch.zeros(rows, dtype=torch.long),
                torch.zeros(rows, 1, self.view.layout.width),
                text_embeds=blank_text_embeds(unet, rows),
                time_ids=torch.zeros(rows, 6) if _is_sdxl(unet) else None,
            )


class KeyValueDenoiser:
    """A diffusers UNet (Stable Diffusion 1.5 or SDXL, an IP-Adapter FaceID loaded or not) that is
    given its cross-attention's K and V.

    Exact: equals the UNet's own call with its IP-Adapter, bit for bit where the batch has the same
    shape (tests/models/test_denoiser.py). The UNet itself is never changed, so it draws as before,
    even meanwhile; weights are shared, and adapters loaded, switched or unloaded later are noticed.
    Thread-safe.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        pack: bool = False,
        engines: DenoiserEngines | None = None,
    ) -> None:
        """pack: prepare the convolutions once for a CPU (PackedConvolution), where that pays:
        equal to rounding, and anew when their weights have changed (not through `.data`). engines:
        draw in eager's place where there are any.

        Raises PipelineUnsupported for a UNet with conditions or attention of another kind.
        """
        _check_conditions(unet)
        self.unet = unet
        self._packed = pack and packing_pays(unet)
        self.engines = engines
        self._parts = _Parts.of(unet, self._packed)  # one assignment: threads read it
        self._projections = Projections()
        self._lock = threading.Lock()

    @property
    def has_identity(self) -> bool:
        """Whether an IP-Adapter is loaded."""
        return bool(self._current().view.identities)

    @property
    def takes_sizes(self) -> bool:
        """Whether rows need text_embeds and time_ids, as SDXL's do."""
        return _is_sdxl(self.unet)

    @property
    def module(self) -> DenoiserModule:
        """What `predict` calls. It shares the UNet's weights, and stays as the UNet is now."""
        return self._current().module

    @property
    def plain_module(self) -> DenoiserModule:
        """The same without packed convolutions: what engines are built of."""
        return self._current().plain

    @property
    def layout(self) -> KeyValueLayout:
        """Where each layer's K and V lie, in the order of `unet.attn_processors`."""
        return self._current().view.layout

    @property
    def projections(self) -> Projections:
        """How many rows became keys and values so far."""
        with self._lock:
            return self._projections

    def project_text(self, states: Tensor) -> KeyValues:
        """K and V of text states [rows, tokens, width], of the UNet's dtype. Raises
        ConditionsRejected.
        """
        self._resume()
        view = self._current().view
        width = int(self.unet.config.cross_attention_dim)
        if states.dim() != 3 or states.shape[2] != width:
            raise ConditionsRejected(
                f"text states are {list(states.shape)}: expected [rows, tokens, {width}]"
            )
        with torch.no_grad():
            pairs = [(layer.to_k(states), layer.to_v(states)) for layer in view.layers]
            projected = view.layout.pack(pairs)
        self._count(text=projected.rows)
        return projected

    def project_identity(self, embeddings: Tensor) -> KeyValues:
        """K and V of identities [rows, n, 512], of the UNet's dtype; n for each row share its
        attention. Zeros are the negative branch's. Raises ConditionsRejected, PipelineUnsupported.
        """
        self._resume()
        view = self._current().view
        if not view.identities:
            raise PipelineUnsupported("no FaceID adapter is loaded, so no identity can be given")
        if embeddings.dim() != 3:
            raise ConditionsRejected(
                f"embeddings are {list(embeddings.shape)}: expected [rows, identities, 512]"
            )
        with torch.no_grad():
            states = self.unet.encoder_hid_proj([embeddings])[0]  # [rows, n, tokens, width]
            pairs = [
                (each.to_k_ip[0](states).flatten(1, 2), each.to_v_ip[0](states).flatten(1, 2))
                for each in view.identities
            ]
            projected = view.layout.pack(pairs)
        self._count(identity=projected.rows)
        return projected

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: RowConditions) -> Tensor:
        """The noise [rows, channels, height, width] in latents of that shape, at timesteps [rows].

        Rows do not know of each other: conditions, scales and timesteps are each row's own.
        Raises ConditionsRejected.
        """
        return self.predict_whole(latents, timesteps, conditions).noise

    def predict_whole(self, latents: Tensor, timesteps: Tensor, conditions: RowConditions) -> Drawn:
        """As `predict`, with the deep features, from which `predict_shallow` may draw a while."""
        parts = self._ready(latents, timesteps, conditions)
        with torch.no_grad():
            if self.engines is not None:
                drawn = self.engines.whole(parts.plain, latents, timesteps, conditions)
                if drawn is not None:
                    return drawn
            return parts.module.whole(
                latents,
                timesteps,
                _given(conditions),
                conditions.text_embeds,
                conditions.time_ids,
            )

    def predict_shallow(
        self, latents: Tensor, timesteps: Tensor, conditions: RowConditions, deep: Tensor
    ) -> Tensor:
        """The noise by the UNet's outermost blocks and the deep features of an earlier step.

        Approximate. deep: of the same rows, from `predict_whole`. Raises ConditionsRejected.
        """
        parts = self._ready(latents, timesteps, conditions)
        if deep.shape[0] != latents.shape[0] or deep.shape[2:] != latents.shape[2:]:
            raise ConditionsRejected(
                f"deep features are {list(deep.shape)}, the latents {list(latents.shape)}: give "
                "those of the same rows, from predict_whole"
            )
        with torch.no_grad():
            if self.engines is not None:
                noise = self.engines.shallow(parts.plain, latents, timesteps, conditions, deep)
                if noise is not None:
                    return noise
            return parts.module.shallow(
                latents,
                timesteps,
                _given(conditions),
                deep,
                conditions.text_embeds,
                conditions.time_ids,
            )

    def scope(self) -> Digest:
        """All that K and V depend on beside text and identity: weights, adapters, precision.

        Read from the weights, so ask once for all keys of a request.
        """
        self._resume()
        device = self.unet.device.type
        return digest(
            {
                "weights": self._current().watch.digest(),
                "dtype": str(self.unet.dtype),
                "device": device,
                "autocast": str(torch.get_autocast_dtype(device))
                if torch.is_autocast_enabled(device)
                else None,
            }
        )

    def text_key(self, states: Digest, scope: Digest | None = None) -> Digest:
        """Under what the K and V of these text states are remembered.

        states: of all that the states depend on, such as the encoder's scope and the token ids.
        """
        return digest(["key values of text", scope or self.scope(), states])

    def identity_key(self, embeddings: Digest, scope: Digest | None = None) -> Digest:
        """Under what the K and V of these identities are remembered. embeddings: their digest."""
        return digest(["key values of identity", scope or self.scope(), embeddings])

    def forget_weights(self) -> None:
        """Read the weights anew, after a change of a few values through `.data` (WeightsWatch)."""
        self._current().watch.forget()

    def _ready(self, latents: Tensor, timesteps: Tensor, conditions: RowConditions) -> _Parts:
        self._resume()
        parts = self._current()
        self._check(latents, timesteps, conditions, parts.view)
        return parts

    def _current(self) -> _Parts:
        parts = self._parts
        if parts.view.stale:
            _check_conditions(self.unet)
            self._parts = parts = _Parts.of(self.unet, self._packed)
        return parts

    def _resume(self) -> None:
        if (offload := getattr(self.unet, "_hf_hook", None)) is not None:
            offload.pre_forward(self.unet)  # accelerate's: the UNet itself is never called

    def _count(self, text: int = 0, identity: int = 0) -> None:
        with self._lock:
            before = self._projections
            self._projections = Projections(before.text + text, before.identity + identity)

    def _check(
        self, latents: Tensor, timesteps: Tensor, conditions: RowConditions, view: DenoiserView
    ) -> None:
        rows, width = latents.shape[0], view.layout.width
        if timesteps.shape != (rows,) or conditions.rows != rows:
            raise ConditionsRejected(
                f"{rows} rows of latents, timesteps {list(timesteps.shape)}, conditions of "
                f"{conditions.rows} rows: give every row one of each"
            )
        for kind, given in (("text", conditions.text), ("identity", conditions.identity)):
            if given is not None and given.packed.shape[2] != width:
                raise ConditionsRejected(
                    f"keys and values of {kind} are {given.packed.shape[2]} wide, this denoiser's "
                    f"are {width}: project them by the denoiser that draws"
                )
        if conditions.identity is not None and not view.identities:
            raise ConditionsRejected("an identity is given, and no FaceID adapter is loaded")
        needed = _is_sdxl(self.unet)
        if {conditions.text_embeds is not None, conditions.time_ids is not None} != {needed}:
            raise ConditionsRejected(
                "this denoiser needs text_embeds and time_ids (it is SDXL's)"
                if needed
                else "this denoiser takes no text_embeds and time_ids (they are for SDXL)"
            )


def _given(conditions: RowConditions) -> Given:
    identity = conditions.identity
    return Given(
        conditions.text.packed,
        None if identity is None else identity.packed,
        conditions.identity_scales,
    )


def _is_sdxl(unet: UNet2DConditionModel) -> bool:
    return bool(unet.config.addition_embed_type == "text_time")


def blank_text_embeds(unet: UNet2DConditionModel, rows: int) -> Tensor | None:
    if not _is_sdxl(unet):
        return None
    config: Any = unet.config
    width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return torch.zeros(rows, width)


def _check_conditions(unet: UNet2DConditionModel) -> None:
    """Raises PipelineUnsupported for a UNet that takes conditions of other kinds."""
    config: Any = unet.config
    if config.time_cond_proj_dim is not None:
        raise PipelineUnsupported(
            "this UNet takes its guidance scale as an input (a distilled model): use one with "
            "classifier-free guidance"
        )
    if (
        config.addition_embed_type not in (None, "text_time")
        or config.class_embed_type is not None
        or config.num_class_embeds is not None
        or config.dual_cross_attention
    ):
        raise PipelineUnsupported(
            "this UNet takes conditions beyond text, identity and SDXL's sizes: use a denoiser of "
            "Stable Diffusion 1.5 or SDXL"
        )
    outermost = type(unet.down_blocks[0]).__name__
    if outermost not in ("DownBlock2D", "CrossAttnDownBlock2D"):
        raise PipelineUnsupported(
            f"this UNet begins with {outermost}, expected a denoiser of Stable Diffusion 1.5 or "
            "SDXL"
        )
    if config.encoder_hid_dim_type not in (None, "ip_image_proj") or (
        getattr(unet, "text_encoder_hid_proj", None) is not None
    ):
        raise PipelineUnsupported(
            f"this UNet projects its conditions by {config.encoder_hid_dim_type!r}: use one with "
            "plain text states, with or without a FaceID adapter"
        )


def _check_projection(projection: object) -> None:
    layers = list(getattr(projection, "image_projection_layers", []))
    if (
        not isinstance(projection, MultiIPAdapterImageProjection)
        or len(layers) != 1
        or not isinstance(layers[0], IPAdapterFaceIDImageProjection)
    ):
        kinds = ", ".join(type(layer).__name__ for layer in layers) or type(projection).__name__
        raise PipelineUnsupported(
            f"the UNet's adapter is {kinds}, expected one IP-Adapter FaceID or none: unload it "
            "with unload_ip_adapter()"
        )
