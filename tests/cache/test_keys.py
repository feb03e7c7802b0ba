"""Keys are made of content: the same content, the same key; anything else, another one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache import digest, digest_array, digest_bytes, digest_file
from cache.keys import Content

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
CONTENTS: st.SearchStrategy[Content] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def typed(content: object) -> object:
    """Content with its types, so that 1, 1.0 and True are three things."""
    if isinstance(content, list):
        return ("list", *map(typed, content))
    if isinstance(content, dict):
        return ("dict", frozenset((key, typed(value)) for key, value in content.items()))
    return (type(content).__name__, content)


@given(CONTENTS, CONTENTS)
def test_contents_have_one_digest_exactly_if_they_are_equal(one: Content, other: Content) -> None:
    assert (digest(one) == digest(other)) == (typed(one) == typed(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([["a"], "b"], ["a", ["b"]]),
        ("1", 1),
        (1, 1.0),
        (1, True),
        ("a", b"a"),
        ([], None),
        ({"threshold": 0.5}, {"threshold": 0.6}),
        ({"a": {"b": 1}}, {"a": 1, "b": 1}),
    ],
)
def test_contents_that_look_alike_have_different_digests(one: Content, other: Content) -> None:
    assert digest(one) != digest(other)


def test_the_order_of_a_mapping_and_the_kind_of_a_sequence_are_no_content() -> None:
    assert digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})


def test_minus_zero_is_zero() -> None:
    assert digest(-0.0) == digest(0.0)


@pytest.mark.parametrize("content", [object(), {1: 2}, {1, 2}, [np.zeros(2)]])
def test_what_has_no_canonical_encoding_is_refused(content: Content) -> None:
    with pytest.raises(TypeError, match="cache key"):
        digest(content)


def test_a_digest_is_the_same_in_another_process() -> None:
    program = "from cache import digest; print(digest({'b': [1, 2.5], 'a': 'x'}))"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert printed.stdout.strip() == digest({"a": "x", "b": [1, 2.5]})


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "data").write_bytes(data)
    assert digest_file(tmp_path / "data") == digest_bytes(data)


def test_an_array_is_known_by_values_shape_and_dtype_but_not_by_strides() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    strided = np.zeros((2, 8, 3), np.uint8)
    strided[:, ::2] = pixels
    assert digest_array(strided[:, ::2]) == digest_array(pixels)
    others: list[np.ndarray] = [
        pixels.reshape(4, 2, 3),
        pixels.view(np.int8),
        pixels + 1,
        pixels.astype(np.float32),
    ]
    assert len({digest_array(array) for array in [pixels, *others]}) == 5


def test_an_array_freed_and_another_at_its_address_have_different_digests() -> None:
    digests = set()
    for value in range(200):
        digests.add(digest_array(np.full((64, 64, 3), value, np.uint8)))  # freed at once
    assert len(digests) == 200
