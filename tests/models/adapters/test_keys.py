"""What is remembered of a model is not found again under other adapters, and is under the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cache import PrefixPool
from models import AdapterStack, KeyValueDenoiser, PrefixCachedTextEncoder
from models.adapters.lora import lora_of
from models.packed_convolution import PackedConvolution
from models.text_forward import Output
from tests.models.adapters.weights import (
    kohya,
    peft,
    random_faceid,
    random_pairs,
    tiny_text_encoder,
)
from tests.models.unets import FAMILIES, apart, by_denoiser, by_diffusers, inputs, tiny_unet


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keys_and_values_have_other_keys_under_other_adapters(
    family: str, dtype: torch.dtype
) -> None:
    unet = tiny_unet(family, adapter=False).to(dtype)
    denoiser, stack = KeyValueDenoiser(unet), AdapterStack(unet)
    first, second = (lora_of(peft(random_pairs(unet, seed)), "style") for seed in (1, 2))
    face, other = random_faceid(unet, 3), random_faceid(unet, 4)
    scopes, digests = [denoiser.scope()], [stack.digest]

    def seen() -> None:
        scopes.append(denoiser.scope())
        digests.append(stack.digest)

    for change in (
        lambda: stack.add(first, "style"),
        lambda: stack.set_scale("style", 0.5),
        lambda: stack.swap("style", second),
        lambda: stack.add(face, "face"),
        lambda: stack.set_scale("face", 0.5),
        lambda: stack.swap("face", other),
    ):
        change()
        seen()
    assert len(set(scopes)) == len(set(digests)) == len(scopes)
    stack.remove("face")
    assert (denoiser.scope(), stack.digest) == (scopes[3], digests[3])
    stack.clear()
    assert (denoiser.scope(), stack.digest) == (scopes[0], digests[0])


def test_keys_and_values_that_stay_keep_their_keys() -> None:
    """Of a LoRA that leaves cross-attention's K and V alone; the stack's digest tells the rest."""
    unet = tiny_unet(adapter=False)
    denoiser, stack = KeyValueDenoiser(unet), AdapterStack(unet)
    scope, before = denoiser.scope(), stack.digest
    stack.add(lora_of(peft(random_pairs(unet, 1, ("conv1", "attn1.to_k"))), "style"), "style")
    assert denoiser.scope() == scope
    assert stack.digest != before


def test_a_name_is_in_no_key() -> None:
    unet = tiny_unet(adapter=False)
    stack = AdapterStack(unet)
    lora, digests = lora_of(peft(random_pairs(unet, 1)), "style"), []
    for name in ("a", "b"):
        with stack.applied(lora, name):
            digests.append(stack.digest)
    assert digests[0] == digests[1] != stack.digest


def test_text_states_have_other_keys_under_other_adapters() -> None:
    model = tiny_text_encoder()
    stack = AdapterStack(tiny_unet(adapter=False), model)
    encoder = PrefixCachedTextEncoder(model, PrefixPool(max_bytes=1 << 20))
    ids, output = torch.tensor([[97, 3, 4, 5, 98, 98]]), Output()
    plain, scope = encoder.encode(ids), encoder.scope_of(output)
    with stack.applied(lora_of(kohya(random_pairs(model, 1, ("q_proj",)), "lora_te_"), "style")):
        assert encoder.scope_of(output) != scope
        changed = encoder.encode(ids)
        assert changed.positions_reused == 0
        assert apart(changed.hidden, plain.hidden) > 1e-3
    assert encoder.scope_of(output) == scope
    again = encoder.encode(ids)
    assert again.wholes == 1
    assert torch.equal(again.hidden, plain.hidden)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pack", [False, True])
def test_a_denoiser_draws_as_the_unet_is_now(family: str, pack: bool) -> None:
    """Also through convolutions of which it holds a packed copy."""
    unet, given = tiny_unet(family, adapter=False), inputs(2)
    denoiser, stack = KeyValueDenoiser(unet, pack=pack), AdapterStack(unet)
    tolerance = 1e-5 if pack else 0

    def follows(scale: float | None = None) -> torch.Tensor:
        ours = by_denoiser(denoiser, given, scale)
        assert apart(ours, by_diffusers(unet, given, scale)) <= tolerance
        return ours

    plain = follows()
    stack.add(lora_of(peft(random_pairs(unet, 1, ("conv1", "conv_in"))), "style"), "style")
    assert apart(follows(), plain) > 1e-2
    stack.set_scale("style", 0.5)
    follows()
    stack.add(random_faceid(unet, 1), "face")
    follows(0.7)
    stack.swap("face", random_faceid(unet, 2))
    follows(0.7)
    stack.clear()
    assert not denoiser.has_identity
    assert torch.equal(follows(), plain)


def test_a_packed_convolution_tells_that_it_is_stale() -> None:
    layer = torch.nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False)
    packed = PackedConvolution(layer)
    assert not packed.stale, "nothing is packed yet"
    packed(torch.zeros(1, 4, 8, 8))
    assert not packed.stale
    layer.weight.mul_(2)
    assert packed.stale
    other: Any = PackedConvolution(layer)
    other(torch.zeros(1, 4, 8, 8))
    layer.weight = torch.nn.Parameter(layer.weight.clone(), requires_grad=False)
    assert other.stale
