"""Steps that fit: more for what asks more of the drawing, within the range, with the reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion import Engine, FusionRequest, Identity, StepSettings
from fusion.complexity import Complexity, choose_steps, detail, openness
from tests.fusion.conftest import painting, unit

SHARES = st.floats(0, 1)
SOMEONE = Identity(embedding=unit(1))


@given(SHARES, SHARES, st.one_of(st.none(), SHARES))
def test_the_range_is_kept_and_the_reason_given(
    said: float, strength: float, seen: float | None
) -> None:
    steps, reason = choose_steps(Complexity(said, strength, seen), 15, 30, StepSettings())
    assert 15 <= steps <= 30
    assert f"steps: {steps} of 15 to 30" in reason


@pytest.mark.parametrize("measure", ["openness", "strength", "detail"])
def test_more_of_a_measure_never_takes_fewer_steps(measure: str) -> None:
    low = {"openness": 0.3, "strength": 0.5, "detail": 0.5}
    taken = [
        choose_steps(Complexity(**{**low, measure: value}), 15, 30, StepSettings())[0]
        for value in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert taken[0] < taken[-1]
    if measure != "strength":  # of which a number of steps keeps some better than others
        assert taken == sorted(taken)


@pytest.mark.parametrize("strength", [0.3, 0.45, 0.6, 0.85])
def test_the_strength_that_was_asked_for_is_kept(strength: float) -> None:
    """A fixed number of steps loses up to one: 0.85 of 15 is drawn as 0.8."""
    for said in np.linspace(0, 1, 9):
        steps, _ = choose_steps(Complexity(float(said), strength, 0.5), 15, 30, StepSettings())
        assert strength - int(steps * strength) / steps < 0.025


def test_more_words_leave_less_open() -> None:
    assert openness(0) == 1
    assert openness(6) > openness(12) > 0
    assert openness(80) == 0


def test_detail_is_of_what_lies_under_the_mask() -> None:
    noisy = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    noisy[:, :32] = 127
    left, right = np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)
    left[:, :30], right[:, 34:] = 1, 1
    assert detail(noisy, left) == 0
    assert detail(noisy, right) == 1
    assert 0 < detail(painting(1, 64, 64), right) < 0.5
    assert detail(noisy, np.zeros((64, 64), np.float32)) == 0


@pytest.mark.parametrize("given", [{"openness": -1.0}, {"least": -0.1}])
def test_weights_without_meaning_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        StepSettings(**given)


class TestRequests:
    """The tiny bundle's own number of steps is 3, so auto takes 2 to 4."""

    def steps(self, engine: Engine, **given: object) -> int:
        request = FusionRequest.model_validate({"identities": (SOMEONE,), "verify": False, **given})
        result = engine.fuse(request)
        assert any(f"steps: {result.request.steps} of 2 to 4" in t for t in result.trace.decisions)
        return result.request.steps

    def test_a_free_portrait_takes_more_than_a_small_change(self, engine: Engine) -> None:
        words = {"attributes": {"age": 35, "hat": True, "beard": True, "glasses": True}}
        free = self.steps(engine, **words)
        assert free > self.steps(engine, target=painting(1), strength=0.1, **words)

    def test_a_number_and_the_bundles_own_are_kept(self, engine: Engine) -> None:
        for asked, steps in ((5, 5), (None, 3)):
            result = engine.fuse(FusionRequest(identities=(SOMEONE,), steps=asked, verify=False))
            assert result.usage.steps == steps
            assert not any("steps:" in text for text in result.trace.decisions)
