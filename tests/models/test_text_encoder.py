"""The prefix-caching text encoder against transformers' own forward, and what it computes."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from cache import PrefixPool
from cache.prefix_pool import ENTRY_BYTES
from models import PrefixCachedTextEncoder, TokensRejected
from tests.models.texts import (
    BEGIN,
    END,
    LAYERS,
    LENGTH,
    agrees,
    difference,
    encoder,
    ids,
    own,
    prompt,
    text_model,
    traffic,
)

HEAD = list(range(3, 33))


@pytest.fixture(scope="module")
def model() -> Any:
    return text_model()


class TestExactness:
    @pytest.mark.parametrize("projection", [False, True])
    @pytest.mark.parametrize("end", [END, 2])
    @pytest.mark.parametrize("max_bytes", [0, 200_000, 1 << 30])
    def test_traffic_equals_the_models_own_forward(
        self, projection: bool, end: int, max_bytes: int
    ) -> None:
        model = text_model(projection=projection, eos_token_id=end)
        cached = encoder(model, max_bytes)
        for input_ids in traffic(25):
            agrees(cached, input_ids)
        statistics = cached.pool.statistics()
        assert statistics.pinned_bytes == 0
        assert statistics.size_bytes <= max_bytes
        assert (statistics.evictions > 0) == (max_bytes == 200_000)
        assert (statistics.positions_reused > 0) == (max_bytes > 0)

    def test_a_long_suffix_is_equal_to_the_last_bit(self, model: Any) -> None:
        cached = encoder(model)
        for last in (40, 41, 42):
            agrees(cached, ids(prompt(*HEAD, last)), tolerance=0.0)
        states = cached.encode(ids(prompt(*HEAD, 43)))
        assert states.positions_reused == 1 + len(HEAD)

    @pytest.mark.parametrize("skip", range(LAYERS))
    def test_clip_skip_and_no_final_norm_as_diffusers_take_them(self, skip: int) -> None:
        model = text_model(projection=True)
        cached = encoder(model)
        norm = model.text_model.final_layer_norm
        for input_ids in (ids(prompt(*HEAD, 40)), ids(prompt(*HEAD, 41), prompt(*HEAD, 42))):
            hidden, pooled = own(model, input_ids, layer=-(skip + 1) if skip else LAYERS)
            plain = cached.encode(input_ids, clip_skip=skip, final_norm=False)
            assert difference(plain, (hidden, pooled)) <= 2e-5
            with torch.no_grad():
                wanted = norm(hidden), pooled
            assert difference(cached.encode(input_ids, clip_skip=skip), wanted) <= 2e-5

    @pytest.mark.parametrize("skip", [None, 1])
    def test_stable_diffusion_gets_what_its_own_encode_prompt_gives(
        self, mini_bundle: Path, skip: int | None
    ) -> None:
        from diffusers import StableDiffusionPipeline

        model = CLIPTextModel.from_pretrained(mini_bundle / "pipeline" / "text_encoder").float()
        vars(model)["text_model"] = model  # diffusers 0.42 looks for it there with a clip-skip
        tokenizer = CLIPTokenizer.from_pretrained(mini_bundle / "pipeline" / "tokenizer")
        pipeline = StableDiffusionPipeline(
            text_encoder=model,
            tokenizer=tokenizer,
            **dict.fromkeys(("vae", "unet", "scheduler", "safety_checker", "feature_extractor")),
            requires_safety_checker=False,
        )
        cached = encoder(model)
        for text in ("woman, 35, smiling, glasses", "woman, 35, smiling, beard", "woman, 35, hat"):
            wanted, _ = pipeline.encode_prompt(text, "cpu", 1, False, clip_skip=skip)
            tokens = tokenizer(text, padding="max_length", max_length=LENGTH, truncation=True)
            found = cached.encode(ids(tokens.input_ids), clip_skip=skip or 0)
            assert (found.hidden - wanted).abs().max() <= 2e-5
        assert cached.pool.statistics().positions_reused > 0

    @pytest.mark.parametrize(
        ("dtype", "tolerance"),
        [(torch.float64, 1e-13), (torch.float16, 8e-3), (torch.bfloat16, 6e-2)],
    )
    def test_other_precisions(self, dtype: torch.dtype, tolerance: float) -> None:
        """States are of size 1 to 4: two units in the last place at half precision."""
        cached = encoder(text_model().to(dtype))
        for input_ids in traffic(8):
            agrees(cached, input_ids, tolerance)
        assert cached.pool.statistics().positions_reused > 0

    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    def test_either_attention_implementation(self, attention: str) -> None:
        cached = encoder(text_model(attn_implementation=attention))
        for input_ids in traffic(8):
            agrees(cached, input_ids)

    def test_every_length(self, model: Any) -> None:
        cached = encoder(model)
        for length in range(1, LENGTH + 1):
            words = [BEGIN, *(3 + n % 90 for n in range(length - 1))]
            agrees(cached, ids(words))
            if length > 2:
                agrees(cached, ids([*words[:-1], END]))

    @pytest.mark.parametrize("padding", [END, 0, 97, BEGIN])
    def test_every_kind_of_padding(self, model: Any, padding: int) -> None:
        cached = encoder(model)
        for last in (40, 41, 41):
            agrees(cached, ids(prompt(*HEAD, last, padding=padding)))
        assert cached.encode(ids(prompt(*HEAD, 42, padding=0))).positions_reused == 31

    @pytest.mark.parametrize("end", [END, 2])
    def test_marks_missing_repeated_and_first(self, end: int) -> None:
        cached = encoder(text_model(eos_token_id=end))
        for words in ([BEGIN, 3, 4, 5], [3, END, 4, END], [END] * 4, [END, 3, 4, 5], [0, 0, 0, 0]):
            for _ in range(2):
                agrees(cached, ids(words))
                agrees(cached, ids([*words, 7, 8]))

    def test_autocast_is_told_apart(self, model: Any) -> None:
        cached, words = encoder(model), ids(prompt(*HEAD))
        plain = cached.encode(words)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lowered = cached.encode(words)
            assert difference(lowered, own(model, words)) <= 0.05
            assert lowered.positions_reused == 0
        assert (lowered.hidden - plain.hidden).abs().max() > 1e-4
        assert torch.equal(cached.encode(words).hidden, plain.hidden)


class TestWhatIsComputed:
    def test_positions_add_up(self, model: Any) -> None:
        cached = encoder(model, 1_000_000)
        for input_ids in traffic(25, seed=2):
            states = cached.encode(input_ids)
            assert states.positions_computed + states.positions_reused == input_ids.numel()
            assert 0 <= states.wholes <= len(input_ids)

    def test_a_whole_hit_computes_nothing(self, model: Any) -> None:
        cached = encoder(model)
        batch = ids(prompt(*HEAD, 40), prompt(9, 8, 7))
        first = cached.encode(batch)
        calls: list[object] = []
        handle = model.embeddings.token_embedding.register_forward_hook(
            lambda *call: calls.append(call)
        )
        second = cached.encode(batch)
        handle.remove()
        assert calls == []
        assert (second.positions_computed, second.wholes) == (0, 2)
        assert torch.equal(first.hidden, second.hidden)
        assert torch.equal(first.pooled, second.pooled)

    def test_a_batch_computes_what_its_prompts_share_once(self, model: Any) -> None:
        states = encoder(model).encode(ids(*(prompt(*HEAD, last) for last in range(40, 44))))
        assert states.positions_computed == 31 + 4 * (LENGTH - 31)
        assert states.positions_reused == 3 * 31

    def test_a_batch_computes_a_repeated_prompt_once(self, model: Any) -> None:
        cached, batch = encoder(model), ids(*[prompt(*HEAD)] * 3, prompt(5))
        assert cached.encode(batch).positions_computed == 2 * LENGTH
        assert cached.encode(batch).wholes == 4

    def test_a_beginning_is_kept_when_a_second_prompt_shares_it(self, model: Any) -> None:
        cached = encoder(model)
        reused = [cached.encode(ids(prompt(*HEAD, last))).positions_reused for last in (40, 41, 42)]
        assert reused == [0, 0, 31]
        statistics = cached.pool.statistics()
        assert (statistics.held_wholes, statistics.held_slabs) == (3, 1)

    def test_nothing_is_remembered_without_a_budget(self, model: Any) -> None:
        cached = encoder(model, 0)
        for _ in range(2):
            assert cached.encode(ids(prompt(*HEAD))).positions_reused == 0
        assert len(cached.pool) == 0

    def test_warming_makes_whole_hits(self, model: Any) -> None:
        cached = encoder(model)
        prompts = [torch.tensor(prompt(*HEAD, last)) for last in (40, 41)]
        cached.warm(prompts, clip_skip=1)
        assert cached.encode(torch.stack(prompts), clip_skip=1).wholes == 2
        assert cached.encode(torch.stack(prompts)).wholes == 0

    def test_namespaces_share_nothing(self, model: Any) -> None:
        cached, words = encoder(model), ids(prompt(*HEAD))
        cached.encode(words, namespace=("one",))
        assert cached.encode(words, namespace=("other",)).positions_reused == 0
        assert cached.encode(words, namespace=("one",)).wholes == 1
        other = PrefixCachedTextEncoder(model, cached.pool, namespace=("one",))
        assert other.encode(words).wholes == 1


class TestWhatIsGivenBack:
    def test_a_result_changed_in_place_changes_nothing_held(self, model: Any) -> None:
        cached = encoder(model)
        for last in (40, 41, 42, 42):
            batch = ids(prompt(*HEAD, last))
            agrees(cached, batch)
            states = cached.encode(batch)
            states.hidden.fill_(7.0)
            states.pooled.fill_(7.0)
        for last in (40, 41, 42, 43):
            agrees(cached, ids(prompt(*HEAD, last)))

    def test_states_kept_within_inference_mode_serve_outside_and_back(self, model: Any) -> None:
        cached = encoder(model)
        for inside in (True, False, True, True, False, False):
            with torch.inference_mode(inside):
                for input_ids in traffic(4, seed=int(inside)):
                    agrees(cached, input_ids)
        with torch.inference_mode():
            cached.encode(ids(prompt(*HEAD)))
        hidden = cached.encode(ids(prompt(*HEAD))).hidden
        scale = torch.ones((), requires_grad=True)
        (hidden * scale).sum().backward()  # refused for inference tensors
        assert scale.grad is not None

    def test_no_gradients_are_kept(self, model: Any) -> None:
        states = encoder(model).encode(ids(prompt(*HEAD)))
        assert not states.hidden.requires_grad
        assert not states.pooled.requires_grad


class TestFailures:
    def test_a_forward_that_raises_leaves_nothing_pinned_and_nothing_wrong(self) -> None:
        model = text_model()
        cached = encoder(model)
        for last in (40, 41):
            cached.encode(ids(prompt(*HEAD, last)))
        before = len(cached.pool)

        def out_of_memory(*_: object) -> None:
            raise torch.OutOfMemoryError("out of memory")

        for layer in range(LAYERS):
            handle = model.encoder.layers[layer].mlp.register_forward_hook(out_of_memory)
            for batch in (
                ids(prompt(*HEAD, 50), prompt(*HEAD, 40)),
                ids(prompt(*HEAD[::-1], 1), prompt(*HEAD[::-1], 2)),
            ):
                with pytest.raises(torch.OutOfMemoryError):
                    cached.encode(batch)
            handle.remove()
        assert cached.pool.statistics().pinned_bytes == 0
        assert len(cached.pool) == before
        for last in (40, 41, 50):
            agrees(cached, ids(prompt(*HEAD, last)))

    def test_a_forward_that_raises_after_the_shared_run_keeps_only_what_is_right(self) -> None:
        model, calls = text_model(), 0
        cached = encoder(model)

        def fail_second(*_: object) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise RuntimeError("second call")

        handle = model.encoder.layers[0].mlp.register_forward_hook(fail_second)
        with pytest.raises(RuntimeError, match="second call"):
            cached.encode(ids(prompt(*HEAD, 40), prompt(*HEAD, 41)))
        handle.remove()
        assert cached.pool.statistics().pinned_bytes == 0
        assert cached.encode(ids(prompt(*HEAD, 42))).positions_reused == 31
        agrees(cached, ids(prompt(*HEAD, 43)))

    @pytest.mark.parametrize(
        ("input_ids", "message"),
        [
            (torch.zeros(3, dtype=torch.int64), "expected int64"),
            (torch.zeros(1, 3), "expected int64"),
            (torch.zeros(1, LENGTH + 1, dtype=torch.int64), "shorten the prompt"),
            (torch.zeros(1, 0, dtype=torch.int64), "shorten the prompt"),
            (torch.zeros(0, 3, dtype=torch.int64), "expected"),
            (torch.tensor([[1, 100]]), "token 100 is unknown"),
            (torch.tensor([[1, -1]]), "token -1 is unknown"),
        ],
    )
    def test_tokens_the_model_cannot_take(
        self, model: Any, input_ids: torch.Tensor, message: str
    ) -> None:
        with pytest.raises(TokensRejected, match=message):
            encoder(model).encode(input_ids)

    @pytest.mark.parametrize("skip", [-1, LAYERS])
    def test_a_clip_skip_beyond_the_layers(self, model: Any, skip: int) -> None:
        with pytest.raises(TokensRejected, match=f"expected 0 to {LAYERS - 1}"):
            encoder(model).encode(ids(prompt(3)), clip_skip=skip)


def test_many_threads_over_one_encoder_get_exact_states(model: Any) -> None:
    cached = encoder(model, 600_000)
    batches = traffic(12, size=2)
    wanted = [own(model, batch) for batch in batches]
    worst: list[float] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(15):
            index = rng.randrange(len(batches))
            worst.append(difference(cached.encode(batches[index]), wanted[index]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worst) == 6 * 15
    assert max(worst) <= 2e-5
    statistics = cached.pool.statistics()
    assert statistics.pinned_bytes == 0
    records = cached.pool.records()
    assert statistics.size_bytes == sum(ENTRY_BYTES + each.value.size_bytes for each in records)
    assert statistics.size_bytes <= 600_000


def test_encoders_of_different_models_share_a_pool_and_nothing_else() -> None:
    pool = PrefixPool(64 << 20)
    models = [
        text_model(),
        text_model(seed=1),
        text_model(hidden_act="gelu"),
        text_model(num_attention_heads=8),
        text_model(layer_norm_eps=1e-3),
        text_model(eos_token_id=40),
    ]
    for model in models * 2:
        agrees(PrefixCachedTextEncoder(model, pool), ids(prompt(*HEAD, 40)))
    statistics = pool.statistics()
    assert (statistics.wholes, statistics.misses) == (len(models), len(models))
