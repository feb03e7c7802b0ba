"""Convolutions whose weights oneDNN has laid out once, where torch would do it at every call.

On a CPU half the time of a small UNet goes into convolutions, and a third of that into copying
their weights into the blocked layout that oneDNN wants. torch's own compiler prepares them ahead
through the same two operators.
"""

from __future__ import annotations

from typing import Any, Final, cast

import torch
from torch import Tensor, nn

MOST_BYTES: Final = 256 << 20  # of weights: they are held a second time
_ROWS: Final = 2  # a packed weight serves any number of rows


class PackedConvolution(nn.Module):
    """A Conv2d for one height and width, those of its first call; any other runs as torch does it.

    Equals the Conv2d to rounding (1e-6). It holds a copy of the weight: once the convolution's own
    has changed it is `stale`, and goes on as before.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.size: tuple[int, int] | None = None
        self.packed: Tensor | None = None
        self._seen: tuple[int, int] | None = None

    @property
    def stale(self) -> bool:
        """Whether the convolution's weight was replaced since, or changed in place (which torch
        does not count through `.data`).
        """
        return self._seen is not None and self._seen != _seen(self.convolution)

    def forward(self, pixels: Tensor) -> Tensor:
        layer: Any = self.convolution
        height, width = pixels.shape[2:]
        if self.size is None:
            self._pack(height, width)
        if self.packed is None or (height, width) != self.size:
            return cast("Tensor", layer(pixels))
        result = torch.ops.mkldnn._convolution_pointwise(
            pixels,
            self.packed,
            layer.bias,
            layer.padding,
            layer.stride,
            layer.dilation,
            layer.groups,
            "none",
            [],
            "",
        )
        return cast("Tensor", result)

    def _pack(self, height: int, width: int) -> None:
        layer: Any = self.convolution
        self._seen = _seen(self.convolution)  # first: what changes meanwhile is stale
        self.packed = torch.ops.mkldnn._reorder_convolution_weight(
            layer.weight.detach(),
            layer.padding,
            layer.stride,
            layer.dilation,
            layer.groups,
            [_ROWS, layer.in_channels, height, width],
        )
        self.size = (height, width)


def _seen(convolution: nn.Conv2d) -> tuple[int, int]:
    weight = convolution.weight
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version


def packs(module: nn.Module) -> bool:
    """Whether this is a convolution that `PackedConvolution` can stand for."""
    return (
        type(module) is nn.Conv2d
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and module.weight.device.type == "cpu"
        and module.weight.dtype is torch.float32
    )


def packing_pays(model: nn.Module) -> bool:
    """Whether this torch can pack, and the model is on a CPU and small enough to be held twice."""
    onednn: Any = torch.backends.mkldnn
    if not onednn.is_available() or not onednn.enabled:
        return False
    if not hasattr(torch.ops.mkldnn, "_reorder_convolution_weight"):
        return False
    weights = [cast("nn.Conv2d", module).weight for module in model.modules() if packs(module)]
    size_bytes = sum(weight.numel() * weight.element_size() for weight in weights)
    return 0 < size_bytes <= MOST_BYTES
