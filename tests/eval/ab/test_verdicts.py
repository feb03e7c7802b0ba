"""Verdicts: what intervals, margins and tests together allow to be said."""

import pytest

from eval.ab.catalogue import CATALOGUE, Need, chosen
from eval.ab.config import Gate
from eval.ab.errors import MetricUnavailable
from eval.ab.results import Comparison, Verdict
from eval.ab.verdicts import of_difference, of_floor, overall, shown_value

IDENTITY, SECONDS, PSNR = (CATALOGUE[key].metric for key in ("identity", "seconds", "psnr"))


@pytest.mark.parametrize(
    ("low", "high", "differs", "verdict"),
    [
        (0.002, 0.02, True, Verdict.BETTER),
        (-0.004, 0.02, False, Verdict.NOT_WORSE),
        (-0.009, -0.001, True, Verdict.NOT_WORSE),  # measurably less, within the margin
        (-0.03, -0.012, True, Verdict.WORSE),
        (-0.03, -0.002, True, Verdict.WORSE),
        (-0.03, 0.01, False, Verdict.UNDECIDED),
        (0.0, 0.0, False, Verdict.NOT_WORSE),
    ],
)
def test_a_difference_is_called_what_its_interval_shows(
    low: float, high: float, differs: bool, verdict: Verdict
) -> None:
    said = of_difference(IDENTITY, low, high, (low + high) / 2, 0.01, differs)
    assert said.verdict is verdict
    assert "\n" not in said.why


def test_more_seconds_are_worse_and_fewer_are_better() -> None:
    assert of_difference(SECONDS, 0.1, 0.2, 0.15, 0.05, True).verdict is Verdict.WORSE
    assert of_difference(SECONDS, -0.2, -0.1, -0.15, 0.05, True).verdict is Verdict.BETTER
    assert of_difference(SECONDS, -0.3, 0.04, -0.1, 0.05, False).verdict is Verdict.NOT_WORSE


def test_without_a_margin_nothing_is_not_worse() -> None:
    said = of_difference(IDENTITY, -0.001, 0.001, 0.0, None, False)
    assert said.verdict is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(33, 40, Verdict.NOT_WORSE), (20, 31, Verdict.WORSE), (30, 40, Verdict.UNDECIDED)],
)
def test_agreement_is_held_against_its_floor(low: float, high: float, verdict: Verdict) -> None:
    assert of_floor(PSNR, low, high, 32.0).verdict is verdict


def _found(metric: str, verdict: Verdict) -> Comparison:
    return Comparison(
        arm="b", metric=metric, mean=0, low=0, high=0, units=9, unit_name="people", test="none",
        p=None, q=None, e_value=None, wins=0, ties=9, losses=0, effect=None, margin=None,
        verdict=verdict, more_units=None, reference_mean=None, arm_mean=0, why="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("identity", "seconds", "verdict", "holds"),
    [
        (Verdict.NOT_WORSE, Verdict.BETTER, Verdict.BETTER, True),
        (Verdict.BETTER, Verdict.BETTER, Verdict.BETTER, True),
        (Verdict.NOT_WORSE, Verdict.NOT_WORSE, Verdict.NOT_WORSE, False),
        (Verdict.NOT_WORSE, Verdict.UNDECIDED, Verdict.UNDECIDED, False),
        (Verdict.WORSE, Verdict.BETTER, Verdict.WORSE, False),
        (Verdict.UNDECIDED, Verdict.WORSE, Verdict.WORSE, False),
    ],
)
def test_the_gate_is_as_strong_as_its_weakest_line(
    identity: Verdict, seconds: Verdict, verdict: Verdict, holds: bool
) -> None:
    gate = Gate(not_worse={"identity": 0.01}, better=("seconds",))
    said = overall("b", gate, [_found("identity", identity), _found("seconds", seconds)], ())
    assert said.verdict is verdict
    assert said.holds is holds


def test_a_gain_that_may_still_show_is_undecided_and_one_that_cannot_is_missed() -> None:
    """A run that stopped as soon as it was "not worse" called true gains missed."""
    gate = Gate(not_worse={"identity": 0.01}, better=("identity",))
    found = _found("identity", Verdict.NOT_WORSE)
    may, cannot = (found.model_copy(update={"high": high}) for high in (0.004, -0.001))
    assert overall("b", gate, [may], ()).verdict is Verdict.UNDECIDED
    assert overall("b", gate, [cannot], ()).verdict is Verdict.NOT_WORSE


def test_what_is_worse_outside_the_gate_is_said() -> None:
    gate = Gate(not_worse={"identity": 0.01}, better=("tokens",))
    found = [_found("identity", Verdict.NOT_WORSE), _found("tokens", Verdict.BETTER)]
    said = overall("b", gate, [*found, _found("kid", Verdict.WORSE)], ())
    assert said.verdict is Verdict.BETTER
    assert said.why == "better on tokens, not worse on identity; outside the gate worse on kid"


def test_a_gate_that_asks_for_no_gain_is_not_worse_at_best() -> None:
    gate = Gate(not_worse={"identity": 0.01})
    assert overall("b", gate, [_found("identity", Verdict.BETTER)], ()).verdict is Verdict.NOT_WORSE


def test_a_gate_metric_nobody_compared_is_undecided() -> None:
    said = overall("b", Gate(not_worse={"identity": 0.01}), [], ())
    assert said.verdict is Verdict.UNDECIDED
    assert not said.holds


def test_values_are_shown_in_units_people_read() -> None:
    attributes, memory = CATALOGUE["attributes"].metric, CATALOGUE["memory"].metric
    assert shown_value(attributes, -0.021) == "−2.1 points"
    assert shown_value(attributes, 0.978, signed=False) == "97.8 %"
    assert shown_value(memory, 2**20 * 3, signed=False) == "3 MiB"
    assert shown_value(SECONDS, 0.5) == "+0.500 s"
    assert shown_value(SECONDS, -1e-9) == "0.000 s"


def test_a_metric_that_cannot_be_had_says_what_it_needs() -> None:
    entries, left_out = chosen(None, frozenset({Need.CLIP, Need.PRICE}), ("glasses",))
    keys = {entry.key for entry in entries}
    assert "attributes.glasses" in keys
    assert not {"kid", "text_agreement", "cost"} & keys
    assert len(left_out) == 2  # what nobody asked for is no lack
    with pytest.raises(MetricUnavailable, match="CLIP vision tower"):
        chosen(["kid"], frozenset({Need.CLIP}), ())
    with pytest.raises(MetricUnavailable, match="no such attribute"):
        chosen(["attributes.horns"], frozenset(), ("glasses",))


def test_a_metric_that_is_named_brings_its_parts() -> None:
    entries, _ = chosen(["attributes"], frozenset(), ("glasses", "hat"))
    assert [e.key for e in entries] == ["attributes", "attributes.glasses", "attributes.hat"]
