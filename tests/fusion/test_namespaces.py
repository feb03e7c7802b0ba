"""What is remembered of one tenant's requests is never shared with another's."""

from collections.abc import Iterator

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from fusion import Engine, EngineSettings, FusionRequest, FusionResult, Identity, InvalidRequest
from fusion.prompt_memory import PromptMemory, PromptSettings
from fusion.trace import Notes
from tests.fusion.conftest import Scripted, face_at, painting, unit

REQUEST = FusionRequest(
    identities=(Identity(image=painting(1)), Identity(embedding=unit(2))),
    attributes={"age": 35, "glasses": True},
    steps=2,
    verify=False,
)


@pytest.fixture
def fresh(faceid_pipe: StableDiffusionPipeline) -> Iterator[Engine]:
    seen = face_at(40, 40, 50, unit(1))
    with Engine.from_diffusers(faceid_pipe, Scripted(lambda _: (seen,))) as engine:
        yield engine


def reused(result: FusionResult) -> tuple[bool, bool, bool]:
    usage = result.usage
    return usage.positions_reused > 0, usage.projections_reused > 0, usage.faces_reused > 0


def pixels(result: FusionResult) -> NDArray[np.uint8]:
    return np.asarray(result.images[0])


def test_nothing_is_reused_across_namespaces_and_everything_within_one(fresh: Engine) -> None:
    first = fresh.fuse(REQUEST)
    assert reused(first) == (False, False, False)
    for namespace in ("one", "two"):
        result = fresh.fuse(REQUEST, namespace=namespace)
        assert reused(result) == (False, False, False), namespace
        assert np.array_equal(pixels(result), pixels(first))
    for namespace in ("", "one", "two"):
        result = fresh.fuse(REQUEST, namespace=namespace)
        assert reused(result) == (True, True, True), namespace
        assert result.usage.positions_computed == result.usage.projections_computed == 0
        assert np.array_equal(pixels(result), pixels(first))
        assert result.task.namespace == namespace


def test_beginnings_of_prompts_are_not_shared_either(fresh: Engine) -> None:
    """Two prompts that begin alike put their beginning into the pool; a third starts from it."""
    begins = [
        REQUEST.model_copy(update={"attributes": {"glasses": True, "age": age}})
        for age in (30, 40, 50)
    ]
    for request in begins[:2]:
        fresh.fuse(request, namespace="one")
    assert fresh.fuse(begins[2], namespace="two").usage.positions_reused == 0
    third = fresh.fuse(begins[2].model_copy(update={"guidance_scale": 1.0}), namespace="one").usage
    assert 0 < third.positions_reused < third.positions_computed


def test_forgetting_a_namespace_drops_all_of_it_and_nothing_else(fresh: Engine) -> None:
    for namespace in ("", "one", "two"):
        fresh.fuse(REQUEST, namespace=namespace)
    held = len(fresh.prompts.pool) + fresh.key_values.statistics().entries
    dropped = fresh.forget("one")
    assert fresh.forget("one") == 0
    left = len(fresh.prompts.pool) + fresh.key_values.statistics().entries
    assert dropped == held - left + 1, "and the faces of one picture"
    assert reused(fresh.fuse(REQUEST, namespace="two")) == (True, True, True)
    assert reused(fresh.fuse(REQUEST)) == (True, True, True)
    assert reused(fresh.fuse(REQUEST, namespace="one")) == (False, False, False)
    assert fresh.forget("nobody") == 0


def test_many_at_once_share_within_their_namespace(fresh: Engine) -> None:
    requests = [REQUEST.model_copy(update={"seed": seed}) for seed in range(4)]
    results = list(fresh.fuse_all(requests, namespace="one"))
    assert sum(result.usage.faces_analysed for result in results) == 1
    assert fresh.prompts.pool.namespaces() == (("one",),)


def test_prompts_encoded_ahead_are_a_namespaces_own(fresh: Engine) -> None:
    list(fresh.encode_prompts([REQUEST], namespace="one"))
    assert fresh.fuse(REQUEST, namespace="two").usage.positions_reused == 0
    assert fresh.fuse(REQUEST, namespace="one").usage.positions_computed == 0


def test_the_order_of_words_follows_a_namespaces_own_traffic(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    settings = EngineSettings(prompts=PromptSettings(adaptive=True, threshold=1.0))
    rng, tokenizer = np.random.default_rng(0), faceid_pipe.tokenizer
    with Engine.from_diffusers(faceid_pipe, settings=settings).warm() as engine:
        ours, before = engine.prompts, engine.prompts.layout
        for _ in range(401):
            wish = {
                "gender": str(rng.choice(["man", "woman"])),
                "age": int(rng.integers(18, 80)),
                "expression": str(rng.choice(["sad", "smiling", "neutral"])),
                "phrases": ["the garden of the old house by the sea"],
            }
            plan = engine.plan(FusionRequest.model_validate({"attributes": wish}), namespace="one")
            ours.drawn(plan, 77, 0, tokenizer, Notes(), ("one",))
            if ours.layout_of(("one",)) != before:
                break
        else:
            pytest.fail("no other order was proposed")
        assert ours.layout_of(("two",)) == ours.layout == before
        assert ours.pool.namespaces() == (("one",),), "what was warmed is its own"
        engine.forget("one")
        assert ours.layout_of(("one",)) == before


def test_who_asks_for_a_layout_leaves_nothing_behind() -> None:
    memory = PromptMemory(PromptSettings())
    for number in range(3):
        memory.layout_of((str(number),))
    assert not memory._traffic


def test_a_task_bears_the_id_it_was_given(engine: Engine) -> None:
    request = FusionRequest(identities=(Identity(embedding=unit(1)),), steps=1)
    handle = engine.submit(request, task_id="order-7")
    assert handle.task.id == handle.result().task.id == "order-7"
    assert {event.task_id for event in handle.events()} == {"order-7"}
    assert engine.fuse(request, task_id="order-8").task.id == "order-8"
    for empty in ("", "  "):
        with pytest.raises(InvalidRequest, match="task_id"):
            engine.submit(request, task_id=empty)
