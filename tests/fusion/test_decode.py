"""An autoencoder that overflows in half precision still gives a picture, and the trace says so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from fusion import DrawingFailed, Engine, EngineSettings, FusionRequest, Stage
from fusion.recovery import StagePolicy
from fusion.source import BundleSource, Drawer
from fusion.stages.decode import decode, in_float32
from fusion.trace import Notes
from models import open_bundle


def autoencoder(dtype: torch.dtype = torch.float32, gain: float = 1.0) -> AutoencoderKL:
    """A tiny one; gain: of its first weights, so that fp16 overflows."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = AutoencoderKL(
            block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4, scaling_factor=0.5,
        )  # fmt: skip
    with torch.no_grad():
        vae.decoder.conv_in.weight.mul_(gain)
    vae = vae.eval().requires_grad_(False)
    return vae.half() if dtype is torch.float16 else vae


def latents(dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)).to(dtype)


def test_what_is_finite_is_decoded_once_in_its_own_precision() -> None:
    notes = Notes()
    decode(autoencoder(torch.float16), latents(torch.float16), notes)
    assert notes.decisions == []


def test_what_overflows_is_decoded_again_in_float32_and_told() -> None:
    vae, notes = autoencoder(torch.float16, gain=3e5), Notes()
    given = latents(torch.float16)
    assert not vae.decode(given / 0.5).sample.isfinite().all()
    picture = decode(vae, given, notes)
    assert notes.decisions == ["decode: not finite in float16, so done again in float32"]
    assert np.array_equal(picture, decode(in_float32(vae, given.device), given.float()))
    assert picture.std() > 1
    assert vae.dtype is torch.float16, "it is others' as well"


def test_one_that_is_known_to_overflow_is_not_tried_in_its_own_precision() -> None:
    vae, notes = autoencoder(torch.float16, gain=3e5), Notes()
    picture = decode(vae, latents(torch.float16), notes, upcasts=True)
    assert notes.decisions == []
    assert np.array_equal(picture, decode(vae, latents(torch.float16)))


def test_what_is_never_finite_is_no_picture() -> None:
    vae = autoencoder()
    vae.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(DrawingFailed, match="float32 neither: verify"):
        decode(vae, latents(torch.float32))


def test_other_models_that_an_offload_hook_holds_are_not_copied() -> None:
    vae = autoencoder()

    class Hook:
        def __deepcopy__(self, memo: Any) -> None:
            raise AssertionError("the hook was copied")

    vae._hf_hook = Hook()
    assert in_float32(vae, torch.device("cpu")).dtype is torch.float32


class Overflowing(BundleSource):
    """A bundle whose autoencoder gives no number at its first decoding."""

    def drawer(self) -> Drawer:
        drawer = super().drawer()
        return replace(drawer, vae=Once(drawer.vae))


class Once:
    """Stands for an autoencoder that fails in its own precision and not in float32."""

    def __init__(self, vae: Any, broken: bool = True) -> None:
        self.vae, self.broken = vae, broken

    def decode(self, given: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
        (image,) = self.vae.decode(given, return_dict=return_dict)
        return (image * float("nan") if self.broken else image,)

    def __deepcopy__(self, memo: Any) -> "Once":
        return Once(self.vae, broken=False)

    def to(self, device: torch.device) -> "Once":
        return self

    def float(self) -> "Once":
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.vae, name)


def test_the_trace_says_that_a_picture_was_decoded_again(tiny_bundle: Path) -> None:
    settings = EngineSettings(recovery={Stage.DECODE: StagePolicy()})
    request = FusionRequest(prompt="hat", steps=1)
    with Engine(Overflowing(open_bundle(tiny_bundle), "cpu", "auto"), settings) as engine:
        result = engine.fuse(request)
        whole = Engine.load(tiny_bundle, device="cpu").fuse(request)
    assert "decode: not finite in float32, so done again in float32" in result.trace.decisions
    assert np.array_equal(np.asarray(result.images[0]), np.asarray(whole.images[0]))
