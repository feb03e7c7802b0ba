"""The UNet behind the view is never touched; the view is one graph for every face and prompt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor

from models import KeyValueDenoiser, PipelineUnsupported, RowConditions
from tests.models.unets import (
    FAMILIES,
    TOKENS,
    TOLERANCE,
    Inputs,
    apart,
    by_denoiser,
    by_diffusers,
    conditions,
    inputs,
    load_adapter,
    tiny_unet,
)


@pytest.fixture
def unet() -> UNet2DConditionModel:
    return tiny_unet()


class TestTheUNetIsLeftAlone:
    def test_nothing_on_it_changes(self, unet: UNet2DConditionModel) -> None:
        given = inputs(2)
        before = by_diffusers(unet, given, 0.5)
        states = {name: dict(module.__dict__) for name, module in unet.named_modules()}
        children = {name: dict(module._modules) for name, module in unet.named_modules()}
        denoiser = KeyValueDenoiser(unet)
        by_denoiser(denoiser, inputs(3, seed=7), 1.0)
        with pytest.raises(RuntimeError):
            denoiser.module(given.latents, given.timesteps, torch.zeros(2, TOKENS, 3))
        for name, module in unet.named_modules():
            assert module.__dict__ == states[name]
            assert all(
                mine is theirs
                for mine, theirs in zip(
                    module._modules.values(), children[name].values(), strict=True
                )
            )
        assert apart(by_diffusers(unet, given, 0.5), before) == 0

    def test_weights_are_shared(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(2)
        own = {id(weight) for weight in unet.parameters()}
        assert all(id(weight) in own for weight in denoiser.module.parameters())
        unet.conv_out.weight.mul_(3)
        assert apart(by_denoiser(denoiser, given, 1.0), by_diffusers(unet, given, 1.0)) == 0
        unet.to(torch.bfloat16)
        given = given.to(torch.bfloat16)
        assert apart(by_denoiser(denoiser, given, 1.0), by_diffusers(unet, given, 1.0)) == 0

    def test_an_adapter_that_comes_and_goes_is_noticed(self) -> None:
        unet, given = tiny_unet(adapter=False), inputs(2)
        denoiser = KeyValueDenoiser(unet)
        plain = by_denoiser(denoiser, given)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            load_adapter(unet)
        assert denoiser.has_identity
        assert apart(by_denoiser(denoiser, given, 1.0), by_diffusers(unet, given, 1.0)) == 0
        unet.encoder_hid_proj = None
        unet.config.encoder_hid_dim_type = None
        unet.set_attn_processor(AttnProcessor2_0())
        assert not denoiser.has_identity
        assert apart(by_denoiser(denoiser, given), plain) == 0
        with pytest.raises(PipelineUnsupported, match="no FaceID adapter"):
            denoiser.project_identity(given.embeddings)

    def test_settings_made_later_are_noticed(self, unet: UNet2DConditionModel) -> None:
        denoiser, given = KeyValueDenoiser(unet), inputs(1)
        before = by_denoiser(denoiser, given, 1.0)
        unet.enable_freeu(s1=0.9, s2=0.2, b1=1.5, b2=1.6)
        theirs = by_diffusers(unet, given, 1.0)
        assert apart(by_denoiser(denoiser, given, 1.0), theirs) == 0
        unet.disable_freeu()
        assert apart(by_denoiser(denoiser, given, 1.0), before) == 0

    def test_offloaded_weights_are_fetched_first(self, unet: UNet2DConditionModel) -> None:
        from accelerate.hooks import ModelHook, add_hook_to_module

        class Fetching(ModelHook):  # type: ignore[misc]
            fetched = 0

            def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
                Fetching.fetched += 1
                return args, kwargs

        given = inputs(2)
        theirs = by_diffusers(unet, given, 1.0)
        add_hook_to_module(unet, Fetching())
        assert apart(by_denoiser(KeyValueDenoiser(unet), given, 1.0), theirs) == 0
        assert Fetching.fetched == 3, "two projections and a prediction"

    def test_threads_do_not_disturb_each_other(self) -> None:
        unets = [tiny_unet(seed=0), tiny_unet("sdxl", seed=1)]
        cases: list[Callable[[], Tensor]] = []
        for unet in unets:
            denoiser = KeyValueDenoiser(unet)
            for seed, scale in ((1, 1.0), (2, 0.4)):
                given = inputs(2, seed=seed)
                cases.append(lambda d=denoiser, g=given, s=scale: by_denoiser(d, g, s))
        given = inputs(2, seed=5)
        cases.append(lambda: by_diffusers(unets[0], given, 1.0))
        expected = [case() for case in cases]
        wrong: list[int] = []

        def work(index: int) -> None:
            drawn = [cases[index]() for _ in range(5)]
            wrong.extend(index for each in drawn if not torch.equal(each, expected[index]))

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(cases))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


class TestGraphs:
    def test_nothing_recompiles_for_another_face_prompt_or_scale(
        self, unet: UNet2DConditionModel
    ) -> None:
        denoiser, graphs = KeyValueDenoiser(unet), []

        def backend(graph: Any, _: object) -> Any:
            graphs.append(graph)
            return graph.forward

        compiled = torch.compile(denoiser.module, backend=backend, fullgraph=True)
        for seed, scale in ((1, 1.0), (2, 0.3)):
            given = inputs(2, seed=seed)
            with torch.no_grad():
                ours = compiled(*_flat(conditions(denoiser, given, scale), given))
            assert apart(ours, by_diffusers(unet, given, scale)) == 0
        assert len(graphs) == 1

    @pytest.mark.parametrize("family", FAMILIES)
    def test_one_graph_serves_any_batch_face_and_prompt(self, family: str) -> None:
        unet = tiny_unet(family)
        denoiser = KeyValueDenoiser(unet)
        rows = torch.export.Dim("rows", min=1, max=16)
        example = _flat(conditions(denoiser, inputs(2), 1.0), inputs(2))
        dynamic = tuple(None if value is None else {0: rows} for value in example)
        program = torch.export.export(
            denoiser.module, example, dynamic_shapes=dynamic, strict=False
        )
        assert not [name for name in program.state_dict if "attn2.to_k" in name or "_ip" in name]
        module = program.module()
        for count, scale in ((2, 1.0), (3, 0.4), (5, 0.0)):
            given = inputs(count, seed=count)
            ours = module(*_flat(conditions(denoiser, given, scale), given))
            assert apart(ours, by_diffusers(unet, given, scale)) <= TOLERANCE


class TestRefusals:
    def test_attention_of_another_kind(self, unet: UNet2DConditionModel) -> None:
        class Odd(AttnProcessor2_0):  # type: ignore[misc]
            pass

        layer = unet.mid_block.attentions[0].transformer_blocks[0].attn2
        layer.set_processor(Odd())
        with pytest.raises(PipelineUnsupported, match="Odd"):
            KeyValueDenoiser(unet)

    def test_an_adapter_in_some_layers_only(self, unet: UNet2DConditionModel) -> None:
        layer = unet.mid_block.attentions[0].transformer_blocks[0].attn2
        layer.set_processor(AttnProcessor2_0())
        with pytest.raises(PipelineUnsupported, match="some layers only"):
            KeyValueDenoiser(unet)


def _flat(whole: RowConditions, given: Inputs) -> tuple[Tensor | None, ...]:
    return (
        given.latents,
        given.timesteps,
        whole.text.packed,
        None if whole.identity is None else whole.identity.packed,
        whole.identity_scales,
        whole.text_embeds,
        whole.time_ids,
    )
