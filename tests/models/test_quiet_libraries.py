"""Libraries are quiet while they load, and as they were afterwards; errors are all of one tree."""

import inspect

import pytest
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from models import ModelsError, errors, quiet_libraries


def state() -> tuple[object, ...]:
    libraries = (diffusers_logging, transformers_logging)
    return tuple((x.get_verbosity(), x.is_progress_bar_enabled()) for x in libraries)


def test_levels_and_bars_come_back_even_after_an_error() -> None:
    before = state()
    inside = []

    def fail() -> None:
        with quiet_libraries():
            inside.append(state())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert state() == before != inside[0]


def test_quiet_within_quiet() -> None:
    before = state()
    with quiet_libraries():
        inside = state()
        with quiet_libraries():
            pass
        assert state() == inside
    assert state() == before


def test_every_error_is_of_the_tree_and_in_its_drawing() -> None:
    found = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
    assert len(found) > 8
    for error in found:
        assert issubclass(error, ModelsError)
        assert issubclass(error, ValueError)
        assert error.__name__ in (errors.__doc__ or "")
