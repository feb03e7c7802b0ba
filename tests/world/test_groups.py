"""Pictures of several people keep everyone's truth."""

from __future__ import annotations

import numpy as np
import pytest

from world import render_group, sample_look, sample_person


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_everyone_is_in_the_picture_and_apart(count: int) -> None:
    rng = np.random.default_rng(count)
    people = [sample_person(seed) for seed in range(count)]
    group = render_group(people, [sample_look(rng, p) for p in people], (320, 160), rng)
    assert group.image.shape == (160, 320, 3)
    assert group.landmarks.shape == (count, 5, 2)
    assert group.boxes.shape == (count, 4)
    for left, right in zip(group.boxes, group.boxes[1:], strict=False):
        assert left[2] < right[0]
    if count:
        assert group.boxes.min() >= -8
        assert group.boxes[:, 2].max() <= 328


def test_too_many_people_for_the_picture_are_refused() -> None:
    rng = np.random.default_rng(0)
    people = [sample_person(seed) for seed in range(8)]
    with pytest.raises(ValueError, match="do not fit"):
        render_group(people, [sample_look(rng, p) for p in people], (100, 100), rng)
