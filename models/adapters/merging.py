"""Low-rank changes in the weights themselves: merged, and taken out again to the last bit.

A merged change costs nothing at run time and needs no other layers, so what is compiled or exported
needs not know of it. Subtracting it again would leave rounding behind: what a weight was is kept
instead, of the weights that are changed and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from models.adapters.lora import LowRank, finite
from models.errors import AdapterRejected

Recipe = tuple[tuple[LowRank, float], ...]  # changes and their factors, in the order of the sum


class MergedWeights:
    """The weights of some layers with changes merged into them. Not thread-safe.

    As long as a layer is changed nobody else may write to its weight; moving and casting the model
    is well.
    """

    def __init__(self) -> None:
        self._former: dict[nn.Module, Tensor] = {}  # on the CPU, in the dtype they had
        self._recipes: dict[nn.Module, Recipe] = {}

    @property
    def former_bytes(self) -> int:
        """How much memory of the host what is kept of the weights takes."""
        return sum(kept.numel() * kept.element_size() for kept in self._former.values())

    def write(self, recipes: Mapping[nn.Module, Recipe]) -> None:
        """Make every layer what it was plus its changes, and layers without any what they were.

        In place, so that addresses stay and changes are counted by torch. Raises AdapterRejected
        where a weight would no longer be finite; layers written before are written then.
        """
        for layer in (*recipes, *(self._recipes.keys() - recipes.keys())):
            recipe = recipes.get(layer, ())
            if recipe != self._recipes.get(layer, ()):
                self._write(layer, recipe)

    def _write(self, layer: nn.Module, recipe: Recipe) -> None:
        weight = cast("Tensor", layer.weight)
        former = self._former.get(layer)
        if former is None:
            former = weight.detach().to("cpu", copy=True)
        _overwrite(weight, merged(former, recipe, weight.dtype, weight.device))
        if recipe:
            self._former[layer], self._recipes[layer] = former, recipe
        else:
            del self._former[layer], self._recipes[layer]


def merged(former: Tensor, recipe: Recipe, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A weight plus changes, summed in float32 at least, then rounded once. Bit for bit the former
    where there are none. Raises AdapterRejected where the sum is not finite.
    """
    if not recipe:
        return former.to(device, dtype)
    exact = torch.promote_types(former.dtype, torch.float32)
    with torch.inference_mode():
        total = former.to(device, exact, copy=True)
        for change, factor in recipe:
            up, down = (half.to(device, exact).flatten(1) for half in (change.up, change.down))
            total += ((factor * change.scaling) * (up @ down)).reshape(total.shape)
        total = total.to(dtype)
    if not finite(total):
        names = ", ".join(change.layer for change, _ in recipe)
        raise AdapterRejected(
            f"{names} would not stay finite in {dtype}: lower the scale, or use another precision"
        )
    return total


def _overwrite(weight: Tensor, value: Tensor) -> None:
    with torch.inference_mode(weight.is_inference()), torch.no_grad():
        weight.copy_(value)
