"""Convolutions prepared once compute what they computed before."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models import KeyValueDenoiser
from models.packed_convolution import PackedConvolution, packing_pays, packs
from tests.models.unets import apart, by_denoiser, inputs, tiny_unet

LAYERS = [
    nn.Conv2d(8, 16, 3, padding=1),
    nn.Conv2d(8, 16, 1, bias=False),
    nn.Conv2d(16, 16, 3, stride=2, padding=1),
    nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=4),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
@torch.inference_mode()
def test_any_rows_and_any_size(layer: nn.Conv2d, channels_last: bool) -> None:
    """Of the size it is packed for, and of another one."""
    packed = PackedConvolution(layer)
    for rows, side in ((2, 16), (1, 16), (5, 16), (2, 12), (2, 16)):
        pixels = torch.randn(rows, layer.in_channels, side, side)
        if channels_last:
            pixels = pixels.to(memory_format=torch.channels_last)
        assert torch.allclose(packed(pixels), layer(pixels), atol=1e-5)
    assert packed.size == (16, 16)


def test_what_cannot_be_packed_stays() -> None:
    assert packs(nn.Conv2d(3, 3, 3))
    assert not packs(nn.Conv2d(3, 3, 3, padding="same"))
    assert not packs(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"))
    assert not packs(nn.Conv2d(3, 3, 3).to(torch.bfloat16))
    assert not packs(nn.Conv1d(3, 3, 3))
    assert not packing_pays(nn.Linear(3, 3))


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_a_denoiser_with_them_is_the_denoiser(family: str) -> None:
    unet = tiny_unet(family)
    plain, packed = KeyValueDenoiser(unet), KeyValueDenoiser(unet, pack=True)
    found = [m for m in packed.module.modules() if isinstance(m, PackedConvolution)]
    assert found
    assert all(module.packed is not None for module in found), "for the size it was trained on"
    assert not [m for m in unet.modules() if isinstance(m, PackedConvolution)], (
        "the UNet's own stay"
    )
    given = inputs(3)
    assert apart(by_denoiser(packed, given, 0.7), by_denoiser(plain, given, 0.7)) <= 1e-5


def test_half_precision_is_left_as_it_is() -> None:
    unet = tiny_unet().to(torch.bfloat16)
    packed = KeyValueDenoiser(unet, pack=True)
    assert not [m for m in packed.module.modules() if isinstance(m, PackedConvolution)]
