"""A handful of rendered people that the tests of the recipes share."""

from __future__ import annotations

import pytest

from training.data import Pictures, dataset, held_out


@pytest.fixture(scope="session")
def few_pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pictures, Pictures]:
    """Six training people of three pictures and three held-out ones of two, 64 pixels a side."""
    directory = tmp_path_factory.mktemp("pictures")
    return dataset(directory, 64, 6, 3), held_out(directory, 64, 3, 2)
