"""A stack's weights are what its adapters make of the pristine ones; nothing is left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models import AdapterRejected, AdapterStack, LoraWeights
from models.adapters import merging
from models.adapters.lora import lora_of
from tests.models.adapters.weights import (
    bits,
    expected,
    kohya,
    peft,
    random_faceid,
    random_pairs,
    same_weights,
    tiny_text_encoder,
)
from tests.models.unets import FAMILIES, apart, by_diffusers, inputs, tiny_unet


def style(model: Any, seed: int, *endings: str) -> LoraWeights:
    pairs = random_pairs(model, seed, endings) if endings else random_pairs(model, seed)
    return lora_of(peft(pairs), f"style {seed}")


@pytest.fixture
def unet() -> Any:
    return tiny_unet(adapter=False)


class TestChanges:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_several_are_summed(self, family: str) -> None:
        unet = tiny_unet(family, adapter=False)
        first, second = random_pairs(unet, 1), random_pairs(unet, 2)
        wanted = expected(unet, first, 0.5)
        for name, value in expected(unet, second, -0.3).items():
            wanted[name] += value - unet.state_dict()[name]
        stack = AdapterStack(unet)
        stack.add(lora_of(peft(first), "first"), "first", 0.5)
        stack.add(lora_of(peft(second), "second"), "second", -0.3)
        assert same_weights(unet, wanted)
        assert [(one.name, one.scale) for one in stack.adapters] == [
            ("first", 0.5),
            ("second", -0.3),
        ]

    def test_the_order_of_coming_changes_no_bit(self) -> None:
        orders = []
        for names in (("a", "b", "c"), ("c", "a", "b")):
            unet = tiny_unet(adapter=False)
            stack = AdapterStack(unet)
            for name in names:
                stack.add(style(unet, ord(name)), name, 0.3)
            orders.append((bits(unet), stack.digest))
        assert orders[0] == orders[1]

    def test_scaled_and_swapped_is_as_added_so(self, unet: Any) -> None:
        first, second = style(unet, 1), style(unet, 2)
        fresh = tiny_unet(adapter=False)
        AdapterStack(fresh).add(second, "style", 0.4)
        stack = AdapterStack(unet)
        stack.add(first, "style")
        stack.set_scale("style", 0.4)
        stack.swap("style", second)
        assert bits(unet) == bits(fresh)
        stack.swap("style", first, scale=1.0)
        assert [(one.scale, one.digest) for one in stack.adapters] == [(1.0, first.digest)]

    def test_only_what_is_changed_is_kept(self, unet: Any) -> None:
        stack = AdapterStack(unet)
        stack.add(style(unet, 1, "conv1"), "style")
        stack.add(style(unet, 2, "conv1", "attn1.to_q"), "other")
        touched = [
            module.weight
            for name, module in unet.named_modules()
            if name.endswith(("conv1", "attn1.to_q"))
        ]
        assert stack.former_bytes == sum(weight.nbytes for weight in touched)
        stack.set_scale("other", 0.0)
        assert stack.former_bytes < sum(weight.nbytes for weight in touched)
        stack.clear()
        assert stack.former_bytes == 0

    def test_addresses_stay(self, unet: Any) -> None:
        before = {name: weight.data_ptr() for name, weight in unet.named_parameters()}
        stack = AdapterStack(unet)
        stack.add(style(unet, 1), "style")
        stack.clear()
        assert {name: weight.data_ptr() for name, weight in unet.named_parameters()} == before

    def test_text_encoders_take_part(self) -> None:
        unet, encoder = tiny_unet(adapter=False), tiny_text_encoder()
        before, ids = bits(encoder), torch.tensor([[97, 3, 4, 98]])
        plain = encoder(ids).last_hidden_state
        stack = AdapterStack(unet, encoder)
        pairs = random_pairs(encoder, 1, ("q_proj", "fc1"))
        tensors = kohya(pairs, "lora_te_") | kohya(random_pairs(unet, 1))
        stack.add(lora_of(tensors, "style"), "style")
        assert apart(encoder(ids).last_hidden_state, plain) > 1e-3
        stack.remove("style")
        assert bits(encoder) == before


class TestInverse:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_every_bit_comes_back(self, dtype: torch.dtype) -> None:
        unet = tiny_unet(adapter=False).to(dtype)
        unet.conv_in.weight[0, 0, 0, 0] = -0.0
        before = bits(unet)
        stack = AdapterStack(unet)
        stack.add(style(unet, 1, "conv_in", "to_q", "to_k"), "style", 1.7)
        assert bits(unet) != before
        stack.set_scale("style", 0.0)
        assert bits(unet) == before, "a scale of zero is no change, not even of a sign"
        stack.set_scale("style", 0.1)
        stack.remove("style")
        assert bits(unet) == before

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_a_sum_is_rounded_once(self, dtype: torch.dtype) -> None:
        exact, half = tiny_unet(adapter=False).to(dtype).float(), tiny_unet(adapter=False).to(dtype)
        for unet in (exact, half):
            stack = AdapterStack(unet)
            for seed in range(3):
                stack.add(style(unet, seed), str(seed), 0.01)
        assert bits(half) == bits(exact.to(dtype))

    def test_a_model_that_was_cast_meanwhile(self, unet: Any) -> None:
        stack = AdapterStack(unet)
        stack.add(style(unet, 1), "style")
        unet.to(torch.bfloat16)
        stack.clear()
        assert bits(unet) == bits(tiny_unet(adapter=False).to(torch.bfloat16))

    def test_channels_last_stays(self, unet: Any) -> None:
        unet.to(memory_format=torch.channels_last)
        layer = unet.down_blocks[0].resnets[0].conv1
        stack = AdapterStack(unet)
        stack.add(style(unet, 1), "style")
        stack.clear()
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
        assert bits(unet) == bits(tiny_unet(adapter=False))

    def test_for_a_while(self, unet: Any) -> None:
        stack = AdapterStack(unet)
        stack.add(style(unet, 1), "kept")
        before, adapters = bits(unet), stack.adapters
        with stack.applied(style(unet, 2), scale=0.5):
            assert bits(unet) != before
            stack.remove("kept")
            stack.add(random_faceid(unet, 3), "face")
        assert (bits(unet), stack.adapters) == (before, adapters)
        with pytest.raises(KeyError), stack.applied(style(unet, 2)):
            raise KeyError
        assert (bits(unet), stack.adapters) == (before, adapters)

    def test_beneath_pefts_own_layers(self, unet: Any) -> None:
        from peft import LoraConfig

        given = inputs(2)
        plain = by_diffusers(unet, given)
        before = bits(unet)
        unet.add_adapter(LoraConfig(r=2, target_modules=["to_q"]), "theirs")
        stack = AdapterStack(unet)
        stack.add(style(unet, 1), "ours")
        assert apart(by_diffusers(unet, given), plain) > 1e-2
        unet.delete_adapters("theirs")
        stack.clear()
        unet.unload_lora()
        assert bits(unet) == before

    @pytest.mark.filterwarnings("error")
    def test_weights_made_in_inference_mode(self) -> None:
        with torch.inference_mode():
            unet = tiny_unet(adapter=False)
        before, stack = bits(unet), AdapterStack(unet)
        stack.add(style(unet, 1), "style")
        assert bits(unet) != before
        stack.clear()
        assert bits(unet) == before


class TestFailures:
    """What fails leaves everything as it was."""

    def unchanged(self, stack: AdapterStack, unet: Any, before: object) -> bool:
        return (bits(unet), stack.adapters, stack.digest) == before

    def test_weights_that_would_overflow(self) -> None:
        unet = tiny_unet(adapter=False).half()
        stack = AdapterStack(unet)
        stack.add(style(unet, 1), "style")
        before = (bits(unet), stack.adapters, stack.digest)
        with pytest.raises(AdapterRejected, match=r"not stay finite in torch\.float16"):
            stack.add(style(unet, 2), "much", 1e7)
        with pytest.raises(AdapterRejected, match="lower the scale"):
            stack.set_scale("style", 1e7)
        assert self.unchanged(stack, unet, before)

    def test_in_the_middle_of_writing(self, unet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        stack = AdapterStack(unet)
        stack.add(style(unet, 1), "style")
        stack.add(random_faceid(unet, 1), "face")
        processors, projection = dict(unet.attn_processors), unet.encoder_hid_proj
        before, calls, real = (bits(unet), stack.adapters, stack.digest), [], merging.merged

        def failing(*arguments: Any) -> torch.Tensor:
            calls.append(1)
            if len(calls) == 5:
                raise torch.OutOfMemoryError("no memory")
            return real(*arguments)

        monkeypatch.setattr(merging, "merged", failing)
        for change in (
            lambda: stack.add(style(unet, 2), "other"),
            lambda: stack.swap("face", random_faceid(unet, 2)),
            lambda: stack.remove("face"),
            stack.clear,
        ):
            calls.clear()
            with pytest.raises(torch.OutOfMemoryError):
                change()
            assert self.unchanged(stack, unet, before)
            assert unet.attn_processors == processors
            assert unet.encoder_hid_proj is projection

    def test_names(self, unet: Any) -> None:
        stack, lora = AdapterStack(unet), style(unet, 1)
        stack.add(lora, "style")
        before = (bits(unet), stack.adapters, stack.digest)
        with pytest.raises(AdapterRejected, match="'style' already"):
            stack.add(lora, "style")
        for change in (stack.remove, lambda name: stack.set_scale(name, 1.0)):
            with pytest.raises(AdapterRejected, match="no adapter 'other'; there are: style"):
                change("other")
        with pytest.raises(AdapterRejected, match="no adapter 'other'"):
            stack.swap("other", lora)
        assert self.unchanged(stack, unet, before)

    @pytest.mark.parametrize("scale", [float("nan"), float("inf")])
    def test_scales(self, unet: Any, scale: float) -> None:
        stack, lora = AdapterStack(unet), style(unet, 1)
        with pytest.raises(AdapterRejected, match="expected a finite number"):
            stack.add(lora, "style", scale)
        stack.add(lora, "style")
        with pytest.raises(AdapterRejected, match="expected a finite number"):
            stack.set_scale("style", scale)

    def test_weights_that_are_not_in_memory(self) -> None:
        unet = tiny_unet(adapter=False)
        lora = style(unet, 1)
        with pytest.raises(AdapterRejected, match="not in memory"):
            AdapterStack(unet.to("meta")).add(lora, "style")

    def test_quantised_weights(self, unet: Any) -> None:
        class Quantised(torch.nn.Parameter):
            pass

        layer = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
        lora = style(unet, 1)
        layer.weight = Quantised(layer.weight, requires_grad=False)
        with pytest.raises(AdapterRejected, match="before quantising"):
            AdapterStack(unet).add(lora, "style")
