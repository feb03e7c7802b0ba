"""int8: which layers, how near, what is refused, and that what is remembered stays right."""

from __future__ import annotations

import builtins
import copy
import math
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from fusion import BundleSource, Engine, FusionRequest
from models import (
    PRECISIONS,
    DeviceUnavailable,
    KeyValueDenoiser,
    Precision,
    PrecisionRefused,
    check_loss,
    loss_refusal,
    open_bundle,
    quantise_denoiser,
    resolve_precision,
    weight_bytes,
)
from models.held_tensors import inner_tensors, is_wrapped, size_bytes
from models.quantisation import LEAST_PSNR_DB, quantisable
from models.text_fingerprint import WeightsWatch
from tests.models.unets import apart, by_denoiser, conditions, inputs, load_adapter

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.fixture
def unet() -> UNet2DConditionModel:
    """Of SD1.5's kind, wide enough for int8, with an adapter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(64, 64),
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=4,
            cross_attention_dim=32,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )
        load_adapter(made)
    return made.eval().requires_grad_(False)


class TestWhichPrecision:
    @pytest.mark.parametrize(
        ("asked", "device", "precision"),
        [
            ("auto", CPU, Precision("fp32", torch.float32)),
            ("auto", CUDA, Precision("fp16", torch.float16)),
            ("auto", MPS, Precision("fp16", torch.float16)),
            ("bfloat16", CPU, Precision("bf16", torch.bfloat16)),
            (torch.bfloat16, CUDA, Precision("bf16", torch.bfloat16)),
            ("int8", CPU, Precision("int8", torch.float32, quantised=True)),
            ("int8", CUDA, Precision("int8", torch.float16, quantised=True)),
        ],
    )
    def test_by_device(
        self, asked: str | torch.dtype, device: torch.device, precision: Precision
    ) -> None:
        assert resolve_precision(asked, device) == precision
        assert resolve_precision(precision, device) == precision

    @pytest.mark.parametrize(
        ("asked", "device"),
        [("fp16", CPU), ("int8", MPS), ("int4", CPU), ("", CUDA), (torch.float64, CPU)],
    )
    def test_what_a_device_cannot_is_refused(
        self, asked: str | torch.dtype, device: torch.device
    ) -> None:
        with pytest.raises(DeviceUnavailable, match="give"):
            resolve_precision(asked, device)

    def test_every_precision_has_a_key_of_its_own(self) -> None:
        assert len({resolve_precision(name, CUDA).key for name in PRECISIONS}) == len(PRECISIONS)


class TestWhichLayers:
    def test_large_ones_of_transformer_blocks_but_none_that_makes_keys_and_values(
        self, unet: UNet2DConditionModel
    ) -> None:
        names = {name for name, _ in quantisable(unet)}
        assert any(name.endswith("attn1.to_k") for name in names)
        assert any(name.endswith("attn2.to_q") for name in names)
        assert any(name.endswith("ff.net.0.proj") for name in names)
        wrong = ("attn2.to_k", "attn2.to_v", "_ip.0", "time_emb", "time_embedding", "proj.2")
        assert not [name for name in names if any(part in name for part in wrong)]
        assert all(".transformer_blocks." in name for name in names)

    def test_only_those_become_int8(self, unet: UNet2DConditionModel) -> None:
        chosen = {name for name, _ in quantisable(unet)}
        done = quantise_denoiser(unet)
        wrapped = {
            name.removesuffix(".weight")
            for name, tensor in unet.named_parameters()
            if is_wrapped(tensor)
        }
        assert wrapped == chosen
        assert done.layers == len(chosen) > 0
        assert done.after_bytes < 0.35 * done.before_bytes
        assert unet.dtype is torch.float32

    def test_a_second_time_nothing_is_left_to_do(self, unet: UNet2DConditionModel) -> None:
        quantise_denoiser(unet)
        assert quantise_denoiser(unet).layers == 0

    def test_bytes_are_those_held(self, unet: UNet2DConditionModel) -> None:
        before = weight_bytes(unet)
        done = quantise_denoiser(unet)
        assert weight_bytes(unet) == before - done.before_bytes + done.after_bytes

    def test_a_plain_tensor_holds_itself(self) -> None:
        tensor = torch.zeros(3, 4, dtype=torch.bfloat16)
        assert inner_tensors(tensor)[0] is tensor
        assert size_bytes(tensor) == 24


class TestDrawing:
    def test_near_the_unquantised_through_the_view(self, unet: UNet2DConditionModel) -> None:
        """The view copies the modules on the way to cross-attention, and shares the int8 ones."""
        exact, given = KeyValueDenoiser(copy.deepcopy(unet)), inputs(3)
        quantise_denoiser(unet)
        denoiser = KeyValueDenoiser(unet, pack=True)
        inside = [tensor for tensor in denoiser.module.parameters() if is_wrapped(tensor)]
        assert len(inside) == sum(is_wrapped(tensor) for tensor in unet.parameters()) > 0
        difference = apart(by_denoiser(denoiser, given, 0.7), by_denoiser(exact, given, 0.7))
        assert 0 < difference < 0.1

    def test_a_row_does_not_depend_on_its_mates(self, unet: UNet2DConditionModel) -> None:
        """Activations have a scale for each token, so rows know nothing of each other."""
        quantise_denoiser(unet)
        denoiser, given = KeyValueDenoiser(unet), inputs(3)
        together = by_denoiser(denoiser, given, 0.7)
        alone = by_denoiser(denoiser, given.rows(1), 0.7)
        assert apart(together[1:2], alone) < 0.02  # a rounding may fall to the other side

    def test_keys_and_values_are_the_unquantised_ones_bit_for_bit(
        self, unet: UNet2DConditionModel
    ) -> None:
        """So they may share a key: nothing that changes them has changed."""
        exact, given = KeyValueDenoiser(copy.deepcopy(unet)), inputs(2)
        quantise_denoiser(unet)
        denoiser = KeyValueDenoiser(unet)
        ours, theirs = conditions(denoiser, given, 1.0), conditions(exact, given, 1.0)
        assert torch.equal(ours.text.packed, theirs.text.packed)
        assert ours.identity is not None
        assert theirs.identity is not None
        assert torch.equal(ours.identity.packed, theirs.identity.packed)
        assert denoiser.scope() == exact.scope()

    def test_their_keys_change_where_they_do(self, unet: UNet2DConditionModel) -> None:
        """Were someone to quantise what makes keys and values, and by plain dtypes."""
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        scopes = {KeyValueDenoiser(unet).scope()}
        quantised = copy.deepcopy(unet)
        quantize_(quantised, Int8WeightOnlyConfig())
        scopes.add(KeyValueDenoiser(quantised).scope())
        scopes.add(KeyValueDenoiser(copy.deepcopy(unet).to(torch.bfloat16)).scope())
        assert len(scopes) == 3

    def test_a_bundle_draws_in_it(self, mini_bundle: Path) -> None:
        pictures = {}
        for name in ("fp32", "int8"):
            source = BundleSource(open_bundle(mini_bundle), "cpu", name)
            with Engine(source) as engine:
                request = FusionRequest(attributes={"age": 60}, steps=2, seed=1)
                pictures[name] = engine.fuse(request).images[0]
        assert pictures["int8"].size == pictures["fp32"].size
        assert pictures["int8"].tobytes() != pictures["fp32"].tobytes()


class TestWatch:
    """Once a digest asked a quantised weight for its address, samples and bytes, and crashed."""

    def test_of_quantised_weights(self) -> None:
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

        module = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64)).requires_grad_(False)
        watch = WeightsWatch(module)
        plain = watch.digest()
        quantize_(module, Int8DynamicActivationInt8WeightConfig())
        assert (quantised := watch.digest()) != plain
        assert watch.digest() == quantised
        inner_tensors(module[0].weight)[0][3, 5] += 1
        assert watch.digest() != quantised


class TestRefusals:
    def test_without_torchao_the_extra_is_named(
        self, unet: UNet2DConditionModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        really = builtins.__import__

        def missing(name: str, *rest: object) -> object:
            if name.partition(".")[0] == "torchao":
                raise ImportError(name)
            return really(name, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(builtins, "__import__", missing)
        with pytest.raises(DeviceUnavailable, match=r"pip install 'limner\[int8\]'") as raised:
            quantise_denoiser(unet)
        assert "\n" not in str(raised.value)
        assert not any(is_wrapped(tensor) for tensor in unet.parameters())

    @pytest.mark.parametrize("psnr", [LEAST_PSNR_DB - 0.1, 0.0, -math.inf, math.nan])
    def test_too_great_a_loss(self, psnr: float) -> None:
        with pytest.raises(PrecisionRefused, match="give another precision"):
            check_loss(psnr)

    @pytest.mark.parametrize("psnr", [LEAST_PSNR_DB, 53.0, math.inf])
    def test_a_small_loss_passes(self, psnr: float) -> None:
        assert loss_refusal(psnr) is None
        check_loss(psnr)
