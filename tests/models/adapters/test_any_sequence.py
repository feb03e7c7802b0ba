"""Whatever was done before, a model is what a fresh one with the same adapters is, to the bit."""

from __future__ import annotations

from functools import cache
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from models import AdapterRejected, AdapterStack, FaceIDWeights, LoraWeights
from models.adapters.lora import lora_of
from tests.models.adapters.weights import bits, kohya, peft, random_faceid, random_pairs
from tests.models.unets import Inputs, by_diffusers, inputs, tiny_unet

SCALES = st.sampled_from([1.0, 0.5, 0.0, -0.7])
NAMES = ("first", "second", "face", "other face")
Bits = dict[str, tuple[torch.dtype, bytes]]


@cache
def adapter(family: str, name: str) -> LoraWeights | FaceIDWeights:
    """Two LoRAs that share layers with each other and with two FaceIDs."""
    unet = tiny_unet(family, adapter=False)
    if name == "first":
        return lora_of(peft(random_pairs(unet, 1)), name)
    if name == "second":
        return lora_of(kohya(random_pairs(unet, 2, ("to_q", "to_k", "conv2", "net.2"))), name)
    return random_faceid(unet, 3 if name == "face" else 4)


@cache
def given() -> Inputs:
    return inputs(2)


def drawn(unet: Any) -> torch.Tensor:
    return by_diffusers(unet, given(), None if unet.encoder_hid_proj is None else 0.8)


@cache
def fresh(family: str, applied: frozenset[tuple[str, float]]) -> tuple[Bits, torch.Tensor, str]:
    """A model with exactly these adapters and scales, added once and in one order."""
    unet = tiny_unet(family, adapter=False)
    stack = AdapterStack(unet)
    for name, scale in sorted(applied):
        stack.add(adapter(family, name), name, scale)
    return bits(unet), drawn(unet), stack.digest


class Sequences(RuleBasedStateMachine):
    """Adapters come, change and go by names of the stack's; `on` says which ones are there."""

    family = "sd15"

    def __init__(self) -> None:
        super().__init__()
        self.unet: Any = tiny_unet(self.family, adapter=False)
        self.stack = AdapterStack(self.unet)
        self.on: dict[str, tuple[str, float]] = {}  # by name in the stack: which, how strong

    @rule(name=st.sampled_from(NAMES), scale=SCALES)
    def add(self, name: str, scale: float) -> None:
        taken = name in self.on
        second = "face" in name and any("face" in which for which, _ in self.on.values())
        if taken or second:
            with pytest.raises(AdapterRejected):
                self.stack.add(adapter(self.family, name), name, scale)
        elif all(which != name for which, _ in self.on.values()):
            self.stack.add(adapter(self.family, name), name, scale)
            self.on[name] = (name, scale)

    @precondition(lambda self: self.on)
    @rule(data=st.data(), scale=SCALES)
    def set_scale(self, data: st.DataObject, scale: float) -> None:
        name = data.draw(st.sampled_from(sorted(self.on)))
        self.stack.set_scale(name, scale)
        self.on[name] = (self.on[name][0], scale)

    @precondition(lambda self: self.on)
    @rule(data=st.data(), which=st.sampled_from(NAMES))
    def swap(self, data: st.DataObject, which: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.on)))
        others = {other for own, (other, _) in self.on.items() if own != name}
        if which in others:
            return
        if "face" in which and any("face" in other for other in others):
            with pytest.raises(AdapterRejected, match="second FaceID"):
                self.stack.swap(name, adapter(self.family, which))
        else:
            self.stack.swap(name, adapter(self.family, which))
            self.on[name] = (which, self.on[name][1])

    @precondition(lambda self: self.on)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.on)))
        self.stack.remove(name)
        del self.on[name]

    @rule()
    def clear(self) -> None:
        self.stack.clear()
        self.on.clear()

    @invariant()
    def it_is_a_fresh_one(self) -> None:
        weights, picture, digest = fresh(self.family, frozenset(self.on.values()))
        assert {one.name for one in self.stack.adapters} == self.on.keys()
        assert bits(self.unet) == weights
        assert torch.equal(drawn(self.unet), picture)
        assert self.stack.digest == digest

    def teardown(self) -> None:
        self.stack.clear()
        assert bits(self.unet) == fresh(self.family, frozenset())[0]
        assert self.stack.former_bytes == 0


class SequencesOfSDXL(Sequences):
    family = "sdxl"


_SETTINGS = settings(
    max_examples=7,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestSD15 = Sequences.TestCase
TestSD15.settings = _SETTINGS
TestSDXL = SequencesOfSDXL.TestCase
TestSDXL.settings = _SETTINGS
