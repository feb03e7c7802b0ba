"""Keys and values of words and face are made once for all steps, and again only if they change."""

import pytest
from diffusers import StableDiffusionPipeline

from fusion import Engine, FusionRequest, Identity
from tests.fusion.conftest import unit


def request(**given: object) -> FusionRequest:
    wish = {"identities": (Identity(embedding=unit(1)),), "attributes": {"age": 35}, "steps": 3}
    return FusionRequest.model_validate({**wish, "verify": False, **given})


def test_a_request_projects_once_and_not_at_every_step(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    with Engine.from_diffusers(faceid_pipe) as engine:
        usage = engine.fuse(request(count=2)).usage
    assert usage.steps == 3
    assert (usage.projections_computed, usage.projections_reused) == (4, 0)


@pytest.mark.parametrize(
    ("changed", "computed"),
    [
        ({}, 0),
        ({"seed": 8, "steps": 5, "identity_scale": 0.3}, 0),
        ({"attributes": {"age": 36}}, 1),  # the prompt; the negative one stays
        ({"identities": (Identity(embedding=unit(2)),)}, 2),  # with its unconditional mate
        ({"guidance_scale": 1.0}, 1),  # an identity alone is projected as diffusers projects it
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_only_what_changed_is_projected_anew(
    faceid_pipe: StableDiffusionPipeline, changed: dict[str, object], computed: int
) -> None:
    with Engine.from_diffusers(faceid_pipe) as engine:
        first = engine.fuse(request()).usage
        usage = engine.fuse(request(**changed)).usage
    assert first.projections_computed == 4
    assert usage.projections_computed == computed


def test_nothing_stays_pinned_after_a_request_or_a_failure(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    with Engine.from_diffusers(faceid_pipe) as engine:
        engine.fuse(request())
        handle = engine.submit(request(steps=50))
        handle.cancel()
        with pytest.raises(Exception, match="cancel"):
            handle.result()
        held = engine.key_values.statistics()
    assert held.entries == 3
    assert held.pinned_bytes == 0
