"""Energy is the counter's, shared to the last unit; what nothing counts is not measured."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from fusion import Engine, FusionRequest, quantities_of
from fusion.energy import EnergyCounter, energy_counter, shared
from fusion.loop import StepLoop
from tests.fusion.test_loop import STEPS, Watched


def rising(step: int, calls: int = 10**6) -> EnergyCounter:
    """A counter that goes on by so much each time it is looked at, and ends after some calls."""
    values = (number * step for number in range(calls))
    return lambda: next(values, None)


def watched(pipe: StableDiffusionPipeline, counter: EnergyCounter | None) -> Watched:
    """A loop with that counter; one row with guidance and one without, in the same batches."""
    found = Watched(pipe)
    found.loop = StepLoop(lambda: found.denoiser, 8, energy_of=lambda device: counter)
    found.add(found.row(1, scale=2.0))
    found.add(found.row(2, scale=1.0))
    assert found.run() == {0: None, 1: None}
    return found


@pytest.mark.parametrize("amount", [0, 1, 7, 10**15 + 1])
@pytest.mark.parametrize("weights", [[1], [2, 1], [2, 2, 1, 2], [0, 3]])
def test_shares_are_whole_and_add_up(amount: int, weights: list[int]) -> None:
    parts = shared(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - amount * weight / sum(weights)) <= 1


def test_the_energy_of_a_batch_is_shared_by_branches_as_its_time_is(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    two = watched(faceid_pipe, rising(7))
    assert [one.spent.energy_millijoules for one in two.drawings] == [4 * STEPS, 3 * STEPS]
    seconds = [one.spent.busy_seconds for one in two.drawings]
    assert seconds[0] == pytest.approx(2 * seconds[1])


def test_a_counter_that_stops_ends_the_measuring_and_not_the_drawing(
    faceid_pipe: StableDiffusionPipeline,
) -> None:
    two = watched(faceid_pipe, rising(7, calls=4))
    assert [one.spent.energy_millijoules for one in two.drawings] == [8, 6], "of two steps"


def test_what_nothing_counts_is_not_measured(
    faceid_pipe: StableDiffusionPipeline, engine: Engine
) -> None:
    assert energy_counter(torch.device("cpu")) is None
    two = watched(faceid_pipe, energy_counter(torch.device("cpu")))
    assert [one.spent.energy_millijoules for one in two.drawings] == [None, None]
    usage = engine.fuse(FusionRequest(steps=1)).usage
    assert usage.energy_millijoules is None
    assert "energy" not in dict(quantities_of(usage))


def test_a_gpu_is_asked_its_own_counter_where_there_is_one() -> None:
    counter = energy_counter(torch.device("cuda", 0))
    counted = [] if counter is None else [counter() for _ in range(2)]
    assert all(one is not None for one in counted)
    assert counted == sorted(counted), "it only rises; no GPU, no counter"
