"""Less memory, the same picture: equal to rounding, undone without a trace."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn

from fusion import BundleSource, Engine, FusionRequest
from models import (
    MEMORY_MODES,
    KeyValueDenoiser,
    MemoryModeUnknown,
    PrefixCachedTextEncoder,
    apply_memory_mode,
    load_components,
    memory_mode,
    open_bundle,
)
from models.offload import Visit, resident, visit_by_forward, visit_by_methods
from models.sliced_attention import SlicedSelfAttention, sliceable
from tests.models.unets import FAMILIES, apart, by_denoiser, inputs, tiny_unet

CPU = torch.device("cpu")
LOW = memory_mode("low")


def psnr(a: Tensor, b: Tensor) -> float:
    """dB, peak 2: of pictures in [-1, 1]."""
    error = float(((a.clamp(-1, 1) - b.clamp(-1, 1)).double() ** 2).mean())
    return float("inf") if error == 0 else 10 * torch.tensor(4 / error).log10().item()


@pytest.fixture
def vae() -> AutoencoderKL:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4,
            sample_size=64,
        )
    return made.eval().requires_grad_(False)


def latents(rows: int, side: int, channels: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(rows, channels, side, side, generator=generator)


def everything(*modules: nn.Module) -> list[dict[str, object]]:
    """All that is set on modules, to see whether anything was left behind."""
    return [dict(module.__dict__) for each in modules for module in each.modules()]


class TestDescriptions:
    def test_names(self) -> None:
        assert [mode.name for mode in MEMORY_MODES] == ["high", "normal", "low"]
        assert memory_mode(LOW) is LOW

    def test_one_that_is_not_known(self) -> None:
        with pytest.raises(MemoryModeUnknown, match="give one of low, normal, high"):
            memory_mode("tiny")


class TestApplied:
    @pytest.mark.parametrize("name", ["high", "normal", "low"])
    def test_undone_without_a_trace(self, vae: AutoencoderKL, name: str) -> None:
        unet = tiny_unet()
        before = everything(unet, vae)
        applied = apply_memory_mode(name, unet, vae, [], CPU)
        assert (everything(unet, vae) == before) is (name == "high")
        assert bool(applied.notes) is (name != "high")
        applied.undo()
        applied.undo()
        assert everything(unet, vae) == before

    def test_as_a_context(self, vae: AutoencoderKL) -> None:
        before = everything(vae)
        with apply_memory_mode("low", tiny_unet(), vae, [], CPU):
            assert vae.use_tiling
        assert everything(vae) == before

    def test_what_another_has_set_meanwhile_stays(self, vae: AutoencoderKL) -> None:
        applied = apply_memory_mode("low", tiny_unet(), vae, [], CPU)
        vae.disable_tiling()
        vae.enable_slicing()
        applied.undo()
        assert not vae.use_tiling

    def test_on_a_cpu_offload_says_that_it_does_nothing(self, vae: AutoencoderKL) -> None:
        encoder = nn.Linear(2, 2)
        applied = apply_memory_mode("low", tiny_unet(), vae, [encoder], CPU)
        assert any("nothing was moved" in note for note in applied.notes)
        assert not hasattr(encoder, "_hf_hook")
        assert "decode" not in vars(vae)


class TestSlicedAttention:
    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("queries", [1, 7, 64, 4096])
    def test_equals_the_whole(self, family: str, queries: int) -> None:
        unet = tiny_unet(family)
        denoiser, given = KeyValueDenoiser(unet), inputs(3)
        whole = by_denoiser(denoiser, given, 0.7)
        mode = replace(LOW, attention_queries=queries)
        with apply_memory_mode(mode, unet, nn.Identity(), [], CPU):
            assert any(isinstance(p, SlicedSelfAttention) for p in unet.attn_processors.values())
            assert apart(by_denoiser(denoiser, given, 0.7), whole) <= 1e-5
        assert torch.equal(by_denoiser(denoiser, given, 0.7), whole)

    def test_the_adapter_stays(self) -> None:
        """diffusers' set_attention_slice puts its own processors in the adapter's place."""
        unet = tiny_unet()
        layers = {id(layer) for layer in sliceable(unet)}
        cross = [p for name, p in unet.attn_processors.items() if "attn2" in name]
        with apply_memory_mode("low", unet, nn.Identity(), [], CPU):
            after = [p for name, p in unet.attn_processors.items() if "attn2" in name]
            assert all(one is other for one, other in zip(cross, after, strict=True))
        assert len(layers) == len(cross)

    def test_an_autoencoders_own_attention_is_none_of_these(self, vae: AutoencoderKL) -> None:
        assert not list(sliceable(vae))


class TestAutoencoder:
    def test_one_picture_at_a_time_equals_the_batch(self, vae: AutoencoderKL) -> None:
        given = latents(3, 8)
        whole = vae.decode(given).sample
        with apply_memory_mode("normal", tiny_unet(), vae, [], CPU):
            assert psnr(vae.decode(given).sample, whole) >= 60

    def test_small_pictures_are_not_tiled(self, vae: AutoencoderKL) -> None:
        given = latents(1, 16)
        whole = vae.decode(given).sample
        with apply_memory_mode("low", tiny_unet(), vae, [], CPU):
            assert torch.equal(vae.decode(given).sample, whole)

    def test_large_ones_are_and_differ(self, vae: AutoencoderKL) -> None:
        """Approximate: a group norm sees its own tile only."""
        given = latents(1, 24)
        whole = vae.decode(given).sample
        with apply_memory_mode(replace(LOW, tile_pixels=64), tiny_unet(), vae, [], CPU):
            tiled = vae.decode(given).sample
        assert tiled.shape == whole.shape
        assert 15 < psnr(tiled, whole) < 100

    def test_tiles_of_a_class_whose_encoder_knows_four_channels_only(self) -> None:
        """diffusers' tiled encoder failed on the mini bundle's eight."""
        torch.manual_seed(0)
        small = AutoencoderTiny(
            encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
            latent_channels=8,
        ).eval()  # fmt: skip
        picture = torch.rand(1, 3, 64, 64)
        with torch.no_grad(), apply_memory_mode("low", tiny_unet(), small, [], CPU) as applied:
            encoded = small.encode(picture).latents
            decoded = small.decode(encoded).sample
        assert "encodes them whole" in " ".join(applied.notes)
        assert "_tiled_encode" not in vars(small)
        with torch.no_grad():
            assert torch.equal(encoded, small.encode(picture).latents)
            assert psnr(decoded, small.decode(encoded).sample) >= 60


class Moved(nn.Module):
    """Remembers where it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []
        self.seen: list[str] = []

    def to(self, device: torch.device) -> Moved:  # type: ignore[override]
        self.places.append(device.type)
        return self

    def forward(self, value: int) -> int:
        self.seen.append(self.places[-1])
        return value + 1

    def decode(self, value: int) -> int:
        if value < 0:
            raise ValueError("a picture of nothing")
        return self.forward(value)


CUDA = torch.device("cuda")


class TestOffload:
    """No GPU here: who is where is counted, with the moves themselves left out."""

    def test_there_for_a_forward_only(self) -> None:
        model = Moved()
        undo = visit_by_forward(model, CUDA, CPU)
        assert model(1) == 2
        assert (model.places, model.seen) == (["cpu", "cuda", "cpu"], ["cuda"])
        undo()
        assert model.places[-1] == "cuda"
        assert model(1) == 2
        assert len(model.places) == 4

    def test_there_for_a_walk(self) -> None:
        model = Moved()
        visit_by_forward(model, CUDA, CPU)
        with pytest.raises(ValueError, match="nothing"), resident(model):
            model.decode(-1)
        with resident(model):
            model.decode(1)
        assert model.seen == ["cuda"]
        assert model.places == ["cpu", "cuda", "cpu", "cuda", "cpu"]

    def test_there_for_a_method_even_if_it_fails(self) -> None:
        model = Moved()
        undo = visit_by_methods(model, ("decode",), CUDA, CPU)
        assert model.decode(1) == 2
        with pytest.raises(ValueError, match="nothing"):
            model.decode(-1)
        assert model.places == ["cpu", "cuda", "cpu", "cuda", "cpu"]
        undo()
        assert "decode" not in vars(model)

    def test_stays_while_any_thread_uses_it(self) -> None:
        model = Moved()
        visit = Visit(model, CUDA, CPU)
        arrived, done = threading.Event(), threading.Event()

        def use() -> None:
            with visit.used():
                arrived.set()
                done.wait(10)

        other = threading.Thread(target=use)
        other.start()
        assert arrived.wait(10)
        with visit.used():
            pass
        assert model.places == ["cuda"]
        done.set()
        other.join()
        assert model.places == ["cuda", "cpu"]

    def test_a_text_encoder_walked_layer_by_layer(
        self, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PrefixCachedTextEncoder never calls the forward that accelerate hooks."""
        components = load_components(open_bundle(tiny_bundle), device="cpu")
        model: Any = components.text_encoder
        places: list[str] = []
        monkeypatch.setattr(type(model), "to", lambda self, device: places.append(device.type))
        undo = visit_by_forward(model, CUDA, CPU)
        from cache import PrefixPool

        encoder = PrefixCachedTextEncoder(model, PrefixPool(1 << 20))
        ids = components.tokenizer("a man", padding="max_length", return_tensors="pt").input_ids
        encoder.encode(ids)
        assert places == ["cpu", "cuda", "cpu"]
        undo()
        assert not hasattr(model, "_hf_hook")

    def test_applied_to_a_gpu(self, vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> None:
        encoder = Moved()
        moved: list[str] = []
        monkeypatch.setattr(type(vae), "to", lambda self, device: moved.append(device.type))
        applied = apply_memory_mode("low", tiny_unet(), vae, [encoder], CUDA)
        vae.decode(latents(1, 8))
        assert moved == ["cpu", "cuda", "cpu"]
        assert encoder.places == ["cpu"]
        applied.undo()
        assert (moved[-1], encoder.places[-1]) == ("cuda", "cuda")
        assert not hasattr(encoder, "_hf_hook")
        assert "decode" not in vars(vae)

    def test_an_offload_of_ones_own_stays(self, vae: AutoencoderKL) -> None:
        encoder = Moved()
        encoder._hf_hook = object()
        mode = replace(LOW, decode_singly=False, tile_pixels=None, attention_queries=None)
        model = Moved()
        model.encode = model.decode  # type: ignore[method-assign]
        applied = apply_memory_mode(mode, tiny_unet(), model, [encoder], CUDA)
        assert encoder.places == []
        assert any("of its own" in note for note in applied.notes)


@pytest.mark.parametrize("mode", ["normal", "low"])
def test_an_engine_draws_the_same_portrait_in_every_mode(tiny_bundle: Path, mode: str) -> None:
    drawn = {}
    for name in ("high", mode):
        source = BundleSource(open_bundle(tiny_bundle), "cpu", memory=name)
        with Engine(source) as engine:
            image = engine.fuse(FusionRequest(attributes={"age": 60}, steps=2, seed=1)).images[0]
        drawn[name] = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8) / 127.5 - 1
    assert psnr(drawn[mode], drawn["high"]) >= 60


def test_models_that_two_sources_share_tell_both_what_was_done(tiny_bundle: Path) -> None:
    sources = [BundleSource(open_bundle(tiny_bundle), "cpu", memory="normal") for _ in range(2)]
    first, second = (source.drawer() for source in sources)
    assert first is second
    assert second.done
