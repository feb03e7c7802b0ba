"""A request is refused for what is wrong with it, and otherwise every question is answered."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fusion import (
    Engine,
    FusionRequest,
    Identity,
    InvalidEmbedding,
    InvalidIdentity,
    InvalidRequest,
    InvalidSize,
    InvalidWeights,
    RequestDefaults,
    resolve,
)
from fusion.request import unit_embedding
from models import FewSteps
from prompting import Attributes, InvalidAttribute, UnknownAttribute, UnreadableText
from tests.fusion.conftest import painting, unit

DEFAULTS = RequestDefaults(20, 2.5, 1.0, 0.6, (128, 128))


def someone(weight: float = 1.0) -> Identity:
    return Identity(embedding=unit(1), weight=weight)


def test_nothing_said_is_answered_by_the_bundle() -> None:
    resolved = resolve(FusionRequest(), DEFAULTS)
    assert (resolved.guidance_scale, resolved.identity_scale) == (2.5, 1.0)
    assert (resolved.steps_range, resolved.steps) == ((15, 30), 30), "chosen once words are known"
    assert resolve(FusionRequest(steps=None), DEFAULTS).steps_range == (20, 20)
    assert (resolved.strength, resolved.size, resolved.seed, resolved.count) == (
        0.6,
        (128, 128),
        7,
        1,
    )
    assert not resolved.fuses
    assert not resolved.gated


def test_what_is_said_is_kept() -> None:
    request = FusionRequest(
        steps=7, guidance_scale=0, identity_scale=0, strength=1, size=(64, 96), seed=0, count=3,
        min_identity=0.4, scheduler="euler", eta=0.5, target_face=None, negative_prompt="hat",
    )  # fmt: skip
    resolved = resolve(request, DEFAULTS)
    assert (resolved.steps, resolved.guidance_scale, resolved.identity_scale) == (7, 0, 0)
    assert (resolved.size, resolved.count, resolved.scheduler) == ((64, 96), 3, "euler")
    assert resolved.gated
    assert resolved.steps_range == (7, 7)
    assert resolved.words.negative_given


def test_few_steps_are_as_many_as_the_bundle_says_and_by_its_scheduler() -> None:
    few = dataclasses.replace(DEFAULTS, few_steps=FewSteps(steps=4, scheduler="dpm++2m"))
    resolved = resolve(FusionRequest(steps="few"), few)
    assert (resolved.steps, resolved.steps_range, resolved.scheduler) == (4, (4, 4), "dpm++2m")
    assert resolved.few
    assert resolve(FusionRequest(steps="few", scheduler="euler"), few).scheduler == "euler"
    usual = resolve(FusionRequest(), few)
    assert (usual.scheduler, usual.few) == ("bundle", False)


def test_few_steps_that_nobody_measured_are_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match=r'"auto".*defaults\.few_steps') as caught:
        resolve(FusionRequest(steps="few"), DEFAULTS)
    assert "\n" not in str(caught.value)


def test_the_trace_tells_what_few_steps_were(mini_bundle: Path) -> None:
    with Engine.load(mini_bundle) as engine:
        result = engine.fuse(FusionRequest(steps="few", seed=1))
        by_hand = engine.fuse(FusionRequest(steps=4, scheduler="dpm++2m", seed=1))
    assert result.usage.steps == 4
    assert "steps: few, which are 4 of dpm++2m" in result.trace.decisions
    assert result.images[0].tobytes() == by_hand.images[0].tobytes()


def test_no_none_survives() -> None:
    full = FusionRequest(identities=(someone(),), target="a.png", attributes={"age": 30})
    for request in (FusionRequest(), full, FusionRequest(steps=None, prompt="")):
        resolved = resolve(request, DEFAULTS)
        values = [getattr(resolved, field.name) for field in dataclasses.fields(resolved)]
        assert None not in values
        for identity in resolved.identities:
            assert None not in dataclasses.astuple(identity)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=8))
def test_weights_become_shares(weights: list[float]) -> None:
    request = FusionRequest(identities=tuple(someone(weight) for weight in weights))
    shares = [identity.weight for identity in resolve(request, DEFAULTS).identities]
    assert math.fsum(shares) == pytest.approx(1)
    assert shares == pytest.approx([weight / sum(weights) for weight in weights])


@pytest.mark.parametrize(
    ("given_weights", "says"),
    [
        ((1.0, -0.1), "identity 2 has weight -0.1"),
        ((0.0, 0.0), "sum to zero"),
        ((math.nan,), "nan"),
        ((math.inf, 1.0), "inf"),
        ((1e308, 1e308), "identity 1 has weight 1e"),  # their sum is an OverflowError
    ],
)
def test_bad_weights_are_refused(given_weights: tuple[float, ...], says: str) -> None:
    request = FusionRequest(identities=tuple(someone(weight) for weight in given_weights))
    with pytest.raises(InvalidWeights, match=says):
        resolve(request, DEFAULTS)


@pytest.mark.parametrize(
    "embedding",
    [np.zeros(512), np.ones(511), np.ones((1, 512)), np.full(512, np.nan), np.full(512, np.inf)],
)
def test_bad_embeddings_are_refused(embedding: np.ndarray) -> None:
    with pytest.raises(InvalidEmbedding):
        resolve(FusionRequest(identities=(Identity(embedding=embedding),)), DEFAULTS)


def test_an_embedding_of_unit_length_stays_bit_for_bit() -> None:
    assert np.array_equal(unit_embedding(unit(3)), unit(3))
    assert np.linalg.norm(unit_embedding(7 * unit(3))) == pytest.approx(1)


def test_an_identity_is_one_picture_or_one_embedding() -> None:
    for identity in (Identity(), Identity(image="a.png", embedding=unit(1))):
        with pytest.raises(InvalidIdentity, match="either"):
            resolve(FusionRequest(identities=(identity,)), DEFAULTS)
    with pytest.raises(InvalidIdentity, match="too many"):
        resolve(FusionRequest(identities=(someone(),) * 9), DEFAULTS)


@pytest.mark.parametrize(
    "image",
    ["a.png", Path("a.png"), b"bytes", painting(0), Image.new("RGB", (32, 32))],
    ids=["text", "path", "bytes", "array", "pil"],
)
def test_pictures_come_as_paths_bytes_arrays_or_images(image: object) -> None:
    identity = Identity(image=image)
    assert identity.image is image
    assert FusionRequest(identities=[identity], target=image).target is image


@pytest.mark.parametrize(
    "build",
    [
        lambda: FusionRequest(identity="a.png"),
        lambda: Identity(photo="a.png"),
        lambda: Identity(image=7),
        lambda: Identity(embedding="face"),
        lambda: FusionRequest(steps="many"),
        lambda: FusionRequest(scheduler="best"),
        lambda: FusionRequest(size=(64, 64, 3)),
        lambda: FusionRequest(identities=[{"image": "a.png", "wieght": 2}]),
    ],
)
def test_what_has_no_place_is_refused_in_one_line(build: Callable[[], object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 0}, {"steps": 501}, {"count": 0}, {"count": 17}, {"seed": -1}, {"strength": 0},
        {"strength": 1.1}, {"guidance_scale": -1}, {"guidance_scale": math.nan}, {"eta": 2},
        {"identity_scale": 9}, {"min_identity": 1.2}, {"max_retries": -1}, {"target_face": 1},
        {"min_identity": 0.5, "verify": False}, {"target": "a.png", "target_face": 0},
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve(FusionRequest(**values), DEFAULTS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(60, 64), (64, 100), (4096, 64), (0, 0)])
def test_sizes_the_model_cannot_draw_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidSize):
        resolve(FusionRequest(size=size), DEFAULTS)


def test_a_target_has_its_own_size() -> None:
    with pytest.raises(InvalidSize, match="leave size out"):
        resolve(FusionRequest(target="a.png", size=(128, 128)), DEFAULTS)


def test_faces_are_counted_from_one() -> None:
    with pytest.raises(InvalidRequest, match="counted from 1"):
        resolve(FusionRequest(identities=(Identity(image="a.png", face=0),)), DEFAULTS)


def test_attributes_are_judged_by_prompting() -> None:
    resolved = resolve(FusionRequest(attributes={"age": 35, "hat": "none"}), DEFAULTS)
    assert resolved.words.attributes == Attributes(age=35, hat=False)
    with pytest.raises(UnknownAttribute):
        resolve(FusionRequest(attributes={"aeg": 35}), DEFAULTS)
    with pytest.raises(InvalidAttribute):
        resolve(FusionRequest(attributes={"age": "old-ish"}), DEFAULTS)


def test_a_text_is_read_with_the_attributes_and_goes_without_a_prompt() -> None:
    words = resolve(FusionRequest(text="a man in a park", attributes={"age": 35}), DEFAULTS).words
    assert (words.text, words.attributes, words.given) == (
        "a man in a park", Attributes(age=35), False,
    )  # fmt: skip
    with pytest.raises(InvalidRequest, match="either a prompt or a text"):
        resolve(FusionRequest(text="a man", prompt="a man"), DEFAULTS)
    with pytest.raises(UnreadableText):
        resolve(FusionRequest(text="a (man:1.2)"), DEFAULTS)
