"""A pool's keys are the content of the model: whatever changes it is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from cache import PrefixPool
from models import PrefixCachedTextEncoder
from models.text_fingerprint import WeightsWatch
from tests.models.texts import agrees, encoder, ids, own, prompt, text_model, traffic

WORDS = ids(prompt(*range(3, 33), 40))
# adapters are computed beside the weights: sums in another order
TOLERANCE = 5e-5


pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute:UserWarning"),
]


def lora(model: Any, name: str = "first", seed: int = 0) -> None:
    """A LoRA that changes what it touches, as diffusers loads one."""
    torch.manual_seed(seed)
    model.add_adapter(
        LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
        adapter_name=name,
    )
    model.eval()


def check_each(model: Any, *changes: Callable[[], object]) -> None:
    """After each change the states are the model's own, and other than before."""
    cached = encoder(model)
    agrees(cached, WORDS, TOLERANCE)
    before = own(model, WORDS)[0]
    for number, change in enumerate(changes):
        change()
        after = own(model, WORDS)[0]
        assert not torch.equal(before, after), f"change {number} changes nothing"
        agrees(cached, WORDS, TOLERANCE)
        agrees(cached, WORDS, TOLERANCE)
        before = after


def test_weights_freed_and_allocated_again_at_the_same_address_are_not_taken_for_the_old_ones() -> (
    None
):
    """A cache keyed by `data_ptr` gave 178 wrong results out of 200 (diffusers' text K/V)."""
    pool, addresses = PrefixPool(64 << 20), set()
    for seed in range(50):
        model = text_model(seed=seed)
        addresses.add(model.embeddings.token_embedding.weight.data_ptr())
        agrees(PrefixCachedTextEncoder(model, pool), WORDS)
        del model
    assert len(addresses) < 50, "no address came back: this tests nothing"
    assert pool.statistics().wholes == 0


def test_equal_weights_in_another_place_share_what_is_held() -> None:
    pool = PrefixPool(64 << 20)
    for _ in range(3):
        PrefixCachedTextEncoder(text_model(), pool).encode(WORDS)
    assert pool.statistics().wholes == 2


class TestWeights:
    def test_changed_in_place(self) -> None:
        model = text_model()
        weight = model.encoder.layers[1].mlp.fc1.weight

        def one_value() -> None:
            with torch.no_grad():
                weight[3, 5] += 9

        check_each(model, one_value, one_value)

    def test_loaded_from_a_state_dict(self) -> None:
        model = text_model()
        other = text_model(seed=1).state_dict()
        check_each(model, lambda: model.load_state_dict(other))
        model = text_model()
        check_each(model, lambda: model.load_state_dict(other, assign=True))

    def test_another_parameter_or_module_in_the_place_of_the_old(self) -> None:
        model = text_model()
        layer = model.encoder.layers[0]

        def parameter() -> None:
            layer.mlp.fc2.weight = nn.Parameter(layer.mlp.fc2.weight.detach() * 2)

        def module() -> None:
            layer.mlp = text_model(seed=5).encoder.layers[0].mlp

        check_each(model, parameter, module)

    def test_changed_through_data_all_at_once(self) -> None:
        model = text_model()

        def scaled() -> None:
            model.encoder.layers[2].self_attn.v_proj.weight.data.mul_(1.5)

        check_each(model, scaled, scaled)

    def test_one_value_changed_through_data_is_seen_after_forget_weights(self) -> None:
        model = text_model()
        cached = encoder(model)
        cached.encode(WORDS)
        model.encoder.layers[2].self_attn.v_proj.weight.data[1, 1] += 9
        cached.forget_weights()
        agrees(cached, WORDS)

    def test_cast_to_another_precision_and_back(self) -> None:
        """Rounding changes the values; a freed address may well come back."""
        model = text_model()
        cached = encoder(model)
        agrees(cached, WORDS)
        model.to(torch.bfloat16)
        assert cached.encode(WORDS).hidden.dtype == torch.bfloat16
        agrees(cached, WORDS, 6e-2)
        model.float()
        agrees(cached, WORDS)
        for _ in range(5):
            model.half().float()
            agrees(cached, WORDS)

    def test_a_digest_is_read_once_while_nothing_changes(self) -> None:
        watch = WeightsWatch(text_model())
        first = watch.digest()
        known = watch._known
        assert watch.digest() == first
        assert watch._known is known


class TestAdapters:
    def test_added_scaled_switched_and_deleted(self) -> None:
        model = text_model()

        def scale(to: float) -> None:
            for module in model.modules():
                if "scaling" in vars(module):
                    module.scaling["first"] = to

        check_each(
            model,
            lambda: lora(model),
            lambda: scale(0.25),
            lambda: lora(model, "second", seed=1),
            lambda: model.set_adapter(["first", "second"]),
            lambda: model.set_adapter("first"),
            lambda: model.disable_adapters(),
            lambda: model.enable_adapters(),
            lambda: (model.set_adapter("second"), model.delete_adapter("first")),
        )

    def test_weighed_as_diffusers_does_it(self) -> None:
        from diffusers.utils.peft_utils import set_weights_and_activate_adapters

        model = text_model()
        lora(model)
        lora(model, "second", seed=1)
        check_each(
            model,
            *(
                lambda weights=weights: set_weights_and_activate_adapters(  # type: ignore[misc]
                    model, ["first", "second"], weights
                )
                for weights in ([1.0, 0.0], [0.3, 0.7], [0.3, 0.8])
            ),
        )

    def test_merged_and_unmerged(self) -> None:
        model = text_model()
        lora(model)
        cached = encoder(model)
        wanted = cached.encode(WORDS)
        tuned = [module for module in model.modules() if hasattr(module, "merge")]
        assert len(tuned) == 6
        for name in ("merge", "unmerge"):
            for module in tuned:
                getattr(module, name)()
            states = cached.encode(WORDS)
            assert states.positions_reused == 0 or name == "unmerge"
            assert (states.hidden - wanted.hidden).abs().max() <= TOLERANCE

    @pytest.mark.parametrize("safe_merge", [False, True])
    def test_merged_into_the_weights_and_unloaded_between_two_uses(self, safe_merge: bool) -> None:
        """peft merges through `.data`: same addresses, same versions, and no adapter to be seen."""
        model = text_model()
        config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)

        def fuse() -> None:
            assert get_peft_model(model, config).merge_and_unload(safe_merge=safe_merge) is model

        check_each(model, fuse, fuse)

    def test_unloaded_again_the_old_states_are_found(self) -> None:
        model = text_model()
        cached = encoder(model)
        cached.encode(WORDS)
        lora(model)
        assert cached.encode(WORDS).wholes == 0
        model.delete_adapter("first")
        agrees(cached, WORDS)

    def test_a_model_wrapped_by_peft(self) -> None:
        for projection in (False, True):
            config = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
            model = get_peft_model(text_model(projection=projection), config).eval()
            cached = encoder(model)
            for last in (40, 41, 42, 42):
                agrees(cached, ids(prompt(*range(3, 33), last)), TOLERANCE)


class TestOffload:
    def test_a_model_that_moves_as_a_whole_is_used_where_it_is(self) -> None:
        from accelerate import cpu_offload_with_hook

        model = text_model()
        cpu_offload_with_hook(model, execution_device="cpu")
        cached = encoder(model)
        for input_ids in traffic(3):
            agrees(cached, input_ids)

    def test_a_model_that_moves_as_a_whole_is_moved_first(self) -> None:
        """Its forward is walked and never called, so its hook never brought it to the device."""
        from accelerate.hooks import ModelHook, add_hook_to_module

        class Mover(ModelHook):  # type: ignore[misc]  # accelerate is untyped
            moves = 0

            def pre_forward(self, module: object, *args: object, **kwargs: object) -> object:
                self.moves += 1
                return args, kwargs

        model, mover = text_model(), Mover()
        add_hook_to_module(model, mover)
        encoder(model).encode(ids(prompt(3)))
        assert mover.moves == 1

    def test_weights_that_are_not_in_memory_are_refused_in_words(self) -> None:
        from accelerate import cpu_offload

        from models import PipelineUnsupported

        model = text_model()
        cpu_offload(model, execution_device=torch.device("cpu"))
        with pytest.raises(PipelineUnsupported, match="sequential offload"):
            encoder(model).encode(ids(prompt(3)))


def test_a_changed_clip_skip_finds_nothing_of_the_old_one() -> None:
    """FaceFusion keys its faces without the settings that change them."""
    cached = encoder(text_model())
    plain = cached.encode(WORDS)
    for options in ({"clip_skip": 1}, {"final_norm": False}, {"clip_skip": 1, "final_norm": False}):
        other = cached.encode(WORDS, **options)
        assert other.positions_reused == 0
        assert not torch.equal(other.hidden, plain.hidden)
        assert torch.equal(other.pooled, plain.pooled)
