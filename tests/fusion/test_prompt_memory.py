"""What an engine remembers of prompts: what is reused is told, and changes no picture."""

from pathlib import Path

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline

from fusion import Engine, EngineSettings, FusionRequest, Identity, PromptSettings
from models import PoolFileRejected
from tests.fusion.conftest import unit

WISH = {"gender": "woman", "age": 35, "expression": "smiling", "glasses": True, "clothing": "red"}


def request(**given: object) -> FusionRequest:
    return FusionRequest.model_validate(
        {
            "identities": (Identity(embedding=unit(1)),),
            "attributes": WISH,
            "steps": 2,
            "verify": False,
            **given,
        }
    )


def engine(pipe: StableDiffusionPipeline, **prompts: object) -> Engine:
    return Engine.from_diffusers(
        pipe,
        settings=EngineSettings(prompts=PromptSettings(**prompts)),  # type: ignore[arg-type]
    )


def test_the_same_words_again_compute_no_position_and_give_the_same_picture(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    with engine(faceid_pipe) as ours:
        first, second = ours.fuse(request()), ours.fuse(request())
    assert first.usage.positions_reused < 10
    assert first.usage.positions_computed + first.usage.positions_reused == 2 * 77
    assert (second.usage.positions_computed, second.usage.positions_reused) == (0, 2 * 77)
    assert np.array_equal(np.asarray(first.images[0]), np.asarray(second.images[0]))


def test_words_that_begin_alike_share_their_beginning_and_pictures_stay_as_they_were(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    others = [request(attributes={**WISH, "age": age}) for age in (20, 50, 70)]
    with engine(faceid_pipe) as ours:
        for one in others[:2]:
            ours.fuse(one)
        shared = ours.fuse(others[2])
    with engine(faceid_pipe, max_bytes=0) as alone:
        plain = alone.fuse(others[2])
    assert shared.usage.positions_reused > 77 + 5  # the negative prompt, and the beginning
    assert plain.usage.positions_reused == 0
    difference = np.abs(
        np.asarray(shared.images[0], np.int16) - np.asarray(plain.images[0], np.int16)
    )
    assert difference.max() <= 1


def test_a_saved_pool_starts_another_engine_warm(
    faceid_pipe: StableDiffusionPipeline, tmp_path: Path
) -> None:
    with engine(faceid_pipe) as ours:
        assert [plan.tokens for plan in ours.encode_prompts([request()])] != [0]
        assert ours.prompts.save(tmp_path) == 2
    with engine(faceid_pipe, warm_from=tmp_path) as other:
        assert other.fuse(request()).usage.positions_computed == 0


def test_a_pool_to_start_from_that_is_none_is_refused_at_once(
    faceid_pipe: StableDiffusionPipeline, tmp_path: Path
) -> None:
    with pytest.raises(PoolFileRejected, match="no saved pool"):
        engine(faceid_pipe, warm_from=tmp_path).warm()


def test_an_adaptive_engine_reorders_words_by_its_traffic_and_tells(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    """Every request says the same long phrase, which the default order says last."""
    rng = np.random.default_rng(0)
    with engine(faceid_pipe, adaptive=True, threshold=1.0) as ours:
        before = ours.prompts.layout
        told: list[str] = []
        for _ in range(401):
            wish = {
                "gender": str(rng.choice(["man", "woman"])),
                "age": int(rng.integers(18, 80)),
                "hair": str(rng.choice(["brown", "black", "red", "blond"])),
                "expression": str(rng.choice(["sad", "smiling", "neutral"])),
                "phrases": ["the garden of the old house by the sea"],
            }
            result = ours.fuse(request(attributes=wish, steps=1, guidance_scale=1.0))
            told += [text for text in result.trace.decisions if text.startswith("layout")]
            if told:
                break
        assert told, "no other order was proposed"
        after = ours.prompts.layout
        assert after.version == before.version + 1
        assert after.order.index("phrases") < before.order.index("phrases")
        next_one = ours.fuse(request(attributes=wish, steps=1, guidance_scale=1.0))
    assert next_one.plan.layout_version == after.version
    assert next_one.usage.positions_reused > 20  # the hottest prompts were warmed


def test_without_being_asked_an_engine_keeps_its_order(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    with engine(faceid_pipe) as ours:
        before = ours.prompts.layout
        ours.fuse(request())
        assert ours.prompts.layout == before


def test_a_plan_is_what_would_be_drawn_and_costs_no_encoding(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    wish = request(attributes={"age": 40, "glasses": True, "hat": True}, steps=1)
    with engine(faceid_pipe) as ours:
        plan = ours.plan(wish)
        assert len(ours.prompts.pool) == 0
        short = ours.plan(wish, budget=6)
        assert short.tokens <= 6 < plan.tokens
        assert short.dropped
        assert ours.plan(wish, budget=10_000) == plan
        assert ours.fuse(wish).plan == plan
