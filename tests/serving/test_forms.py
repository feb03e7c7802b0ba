"""Multipart fields become what the SDK had before it flattened them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._qs import Querystring

from serving.errors import BadRequest
from serving.forms import unflattened

NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
LEAVES = st.one_of(
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.text("xyzß漢 ", min_size=1, max_size=8),
)


@given(
    st.dictionaries(NAMES, LEAVES, min_size=1, max_size=5), st.lists(LEAVES, min_size=1, max_size=4)
)
def test_what_the_sdk_flattens_comes_back(
    attributes: dict[str, object], values: list[object]
) -> None:
    body = {"prompt": "true", "attributes": attributes, "weights": values, "n": 2}
    fields = Querystring().stringify_items(body, array_format="brackets")
    assert unflattened(fields) == body


def test_words_stay_words_whatever_they_look_like() -> None:
    fields = [("prompt", "[1, 2]"), ("negative_prompt", "true"), ("size", "512"), ("user", "7")]
    assert unflattened(fields) == dict(fields)


def test_json_is_read_where_it_is_sent() -> None:
    fields = [("attributes", '{"age": 35, "hat": false}'), ("weights", "[0.7, 0.3]")]
    assert unflattened(fields) == {
        "attributes": {"age": 35, "hat": False},
        "weights": [0.7, 0.3],
    }
    assert unflattened([("weights", "1")]) == {"weights": [1]}


@pytest.mark.parametrize(
    "fields",
    [
        [("prompt", "a"), ("prompt", "b")],
        [("a[b][c][d][e][f]", "1")],
        [("a[b]", "1"), ("a[b]", "2")],
        [("a", "1"), ("a[b]", "2")],
        [("a[]", "1"), ("a[b]", "2")],
        [("a[b]", "1"), ("a[]", "2")],
        [("a[", "1")],
        [("", "1")],
        [("attributes", "{")],
        [("attributes", "[" * 100_000)],
        [("a[b][][c]", "1")],
    ],
)
def test_what_does_not_fit_together_is_refused(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(BadRequest):
        unflattened(fields)
