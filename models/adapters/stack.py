"""The adapters of a pipeline, at run time: LoRA and a FaceID, added, scaled, swapped, removed.

Whatever is done, the weights are what the adapters that are left make of the pristine ones, bit for
bit, and in whatever order they came.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from cache import Digest, digest
from models.adapters.faceid import Attachment, attach, faceid_lora
from models.adapters.layers import layers_by_spelling
from models.adapters.lora import LoraWeights, LowRank, plain_shape
from models.adapters.merging import MergedWeights, Recipe
from models.errors import AdapterRejected
from models.identity import FaceIDWeights, check_faceid
from models.text_fingerprint import tensor_digest

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel


@dataclass(frozen=True)
class AppliedAdapter:
    """What the stack says of one of its adapters. digest: of its weights, not of its scale."""

    name: str
    digest: Digest
    scale: float
    is_identity: bool


@dataclass(frozen=True, eq=False)
class _Held:
    """An adapter whose keys have found their layers."""

    described: AppliedAdapter
    changes: tuple[tuple[nn.Module, LowRank], ...]
    faceid: FaceIDWeights | None

    @property
    def name(self) -> str:
        return self.described.name


class AdapterStack:
    """LoRAs, and at most one FaceID, merged into a UNet and its text encoders.

    A method that fails leaves everything as it was. Names are the caller's. The caches' keys follow
    by themselves, since they are made of the weights' content; `digest` says the same for what is
    built ahead (engines). What weights were is kept on the CPU, for those that are changed.

    Methods may be called from any thread, one at a time. But weights are changed in place: nobody
    may draw or encode while a method changes them, so an engine does it between two steps with no
    row at work. Models may be moved and cast at any time; their processors are not to be replaced
    while a FaceID is on.
    """

    def __init__(self, unet: UNet2DConditionModel, *text_encoders: nn.Module) -> None:
        """text_encoders: in the pipeline's order (SDXL has two)."""
        self._unet = unet
        self._text_encoders = text_encoders
        self._weights = MergedWeights()
        self._held: tuple[_Held, ...] = ()  # one assignment: threads read it
        self._plain: Attachment | None = None  # the UNet's own, while a FaceID is on
        self._lock = threading.RLock()

    @property
    def adapters(self) -> tuple[AppliedAdapter, ...]:
        """What is on, in the order of its coming (which changes nothing)."""
        return tuple(one.described for one in self._held)

    @property
    def digest(self) -> Digest:
        """Of all adapters and their scales; equal for equal weights, whatever the names."""
        return digest(sorted([one.digest, repr(one.scale)] for one in self.adapters))

    @property
    def former_bytes(self) -> int:
        """How much of the host's memory goes into taking adapters off again."""
        return self._weights.former_bytes

    def add(self, adapter: LoraWeights | FaceIDWeights, name: str, scale: float = 1.0) -> None:
        """Add an adapter under a name that is free.

        scale: of its low-rank changes; how strong an identity is, each request says for itself.
        Raises AdapterRejected where a key or a shape is of another base, and for a second FaceID.
        """
        with self._lock:
            if any(one.name == name for one in self._held):
                raise AdapterRejected(
                    f"there is an adapter {name!r} already: swap or remove it, or choose a name"
                )
            self._become((*self._held, self._fitted(adapter, name, scale)))

    def set_scale(self, name: str, scale: float) -> None:
        """Apply an adapter's low-rank changes as strongly as said; 0 leaves none of them.

        Raises AdapterRejected for a name that is not there, and for a FaceID without LoRA.
        """
        with self._lock:
            before = self._find(name)
            described = replace(before.described, scale=_checked(scale, name))
            if not before.changes and scale != before.described.scale:
                raise AdapterRejected(
                    f"{name!r} has no LoRA to scale: set each request's identity_scale instead"
                )
            self._exchange(before, replace(before, described=described))

    def swap(
        self, name: str, adapter: LoraWeights | FaceIDWeights, scale: float | None = None
    ) -> None:
        """Put another adapter in the place of one, under its name. scale: None for the same.

        Raises AdapterRejected as `add` and `remove` do; then the former stays.
        """
        with self._lock:
            before = self._find(name)
            wanted = before.described.scale if scale is None else scale
            self._exchange(before, self._fitted(adapter, name, wanted))

    def remove(self, name: str) -> None:
        """Take an adapter off, of a FaceID all of it. Raises AdapterRejected if it is not there."""
        with self._lock:
            gone = self._find(name)
            self._become(tuple(one for one in self._held if one is not gone))

    def clear(self) -> None:
        """Take everything off: all weights are bit for bit what they were."""
        with self._lock:
            self._become(())

    @contextmanager
    def applied(
        self, adapter: LoraWeights | FaceIDWeights, name: str = "applied", scale: float = 1.0
    ) -> Iterator[None]:
        """An adapter for a while. At the end the stack is what it was at the beginning, whatever
        was done to it meanwhile. Raises AdapterRejected.
        """
        with self._lock:
            before = self._held
            self.add(adapter, name, scale)
        try:
            yield
        finally:
            with self._lock:
                self._become(before)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Several changes as one: where one of them raises, the stack is as it was before all."""
        with self._lock:
            before = self._held
        try:
            yield
        except BaseException:
            with self._lock:
                self._become(before)
            raise

    def _find(self, name: str) -> _Held:
        for one in self._held:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self._held) or "none"
        raise AdapterRejected(f"there is no adapter {name!r}; there are: {names}")

    def _exchange(self, before: _Held, after: _Held) -> None:
        self._become(tuple(after if one is before else one for one in self._held))

    def _fitted(self, adapter: LoraWeights | FaceIDWeights, name: str, scale: float) -> _Held:
        """An adapter whose every key has found its layer. Raises AdapterRejected."""
        _checked(scale, name)
        if isinstance(adapter, LoraWeights):
            described = AppliedAdapter(name, adapter.digest, float(scale), is_identity=False)
            return _Held(described, self._placed(adapter), None)
        check_faceid(adapter, self._unet)
        lora = faceid_lora(adapter)
        described = AppliedAdapter(name, _faceid_digest(adapter), float(scale), is_identity=True)
        return _Held(described, () if lora is None else self._placed(lora), adapter)

    def _placed(self, lora: LoraWeights) -> tuple[tuple[nn.Module, LowRank], ...]:
        layers = layers_by_spelling(self._unet, self._text_encoders)
        placed: dict[nn.Module, LowRank] = {}
        for change in lora.changes:
            layer = layers.get(change.layer)
            if layer is None:
                raise AdapterRejected(
                    f"{lora.source}: these models have no layer {change.layer}; use a LoRA that "
                    "was trained for this base"
                )
            weight = cast("Tensor", layer.weight)
            if change.shape != plain_shape(weight.shape):
                raise AdapterRejected(
                    f"{lora.source}: {change.layer} changes a weight of {list(change.shape)}, here "
                    f"it is {list(weight.shape)}; use a LoRA that was trained for this base"
                )
            if layer in placed:
                raise AdapterRejected(
                    f"{lora.source}: {change.layer} and {placed[layer].layer} are the same layer"
                )
            _check_weight(weight, change.layer)
            placed[layer] = change
        return tuple(placed.items())

    def _become(self, wanted: tuple[_Held, ...]) -> None:
        """The one way in which anything changes."""
        _check_identities(wanted)
        if (changed := _recipes(wanted)) != _recipes(self._held):
            for layer in {*changed, *_recipes(self._held)}:
                _check_weight(layer.weight, type(layer).__name__)
        before, attached, plain = self._held, Attachment.of(self._unet), self._plain
        try:
            self._attach(_faceid(before), _faceid(wanted))
            self._weights.write(_recipes(wanted))
        except BaseException:
            attached.restore(self._unet)
            self._plain = plain
            self._weights.write(_recipes(before))
            raise
        self._held = wanted

    def _attach(self, before: FaceIDWeights | None, wanted: FaceIDWeights | None) -> None:
        if before is wanted:
            return
        if self._plain is not None:
            self._plain.restore(self._unet, whole=False)
            self._plain = None
        if wanted is not None:
            plain = Attachment.of(self._unet)
            attach(self._unet, wanted)
            self._plain = plain


def _recipes(held: tuple[_Held, ...]) -> dict[nn.Module, Recipe]:
    """What each layer is changed by. Rounding depends on a sum's order, so it is the content's."""
    recipes: dict[nn.Module, Recipe] = {}
    for one in sorted(held, key=lambda one: (one.described.digest, one.described.scale)):
        scale = one.described.scale
        if scale != 0:
            for layer, change in one.changes:
                recipes[layer] = (*recipes.get(layer, ()), (change, scale))
    return recipes


def _faceid(held: tuple[_Held, ...]) -> FaceIDWeights | None:
    return next((one.faceid for one in held if one.faceid is not None), None)


def _check_identities(held: tuple[_Held, ...]) -> None:
    names = [one.name for one in held if one.faceid is not None]
    if len(names) > 1:
        raise AdapterRejected(
            f"{names[1]!r} would be a second FaceID beside {names[0]!r}: swap or remove that"
        )


def _checked(scale: float, name: str) -> float:
    if not math.isfinite(scale):
        raise AdapterRejected(f"the scale of {name!r} is {scale}: expected a finite number")
    return float(scale)


def _check_weight(weight: Any, layer: str) -> None:
    if weight.is_meta:
        raise AdapterRejected(
            f"{layer} is not in memory (sequential offload): use enable_model_cpu_offload, or none"
        )
    if type(weight) not in (nn.Parameter, torch.Tensor) or not weight.is_floating_point():
        raise AdapterRejected(f"{layer} is quantised: add adapters before quantising")


def _faceid_digest(weights: FaceIDWeights) -> Digest:
    return digest(
        {
            part: {key: tensor_digest(tensor) for key, tensor in tensors.items()}
            for part, tensors in (
                ("image_proj", weights.image_proj),
                ("ip_adapter", weights.ip_adapter),
            )
        }
    )
