"""What is packed comes out again, and rows are joined and chosen without mixing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models import ConditionsRejected, KeyValueLayout, KeyValues, RowConditions

WIDTHS = st.lists(st.integers(1, 6), min_size=1, max_size=6)


def some(rows: int, tokens: int = 3, width: int = 8, start: int = 0) -> KeyValues:
    """Rows whose every value is their number."""
    numbers = torch.arange(start, start + rows, dtype=torch.float32)
    return KeyValues(numbers[:, None, None].expand(rows, tokens, width).clone())


def numbers(packed: Tensor) -> list[float]:
    assert (packed == packed[:, :1, :1]).all()
    return [float(value) for value in packed[:, 0, 0]]


@given(widths=WIDTHS, rows=st.integers(1, 3), tokens=st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_each_layer_gets_back_what_it_gave(widths: list[int], rows: int, tokens: int) -> None:
    layout = KeyValueLayout(tuple(widths))
    layers = [(torch.randn(rows, tokens, w), torch.randn(rows, tokens, w)) for w in widths]
    packed = layout.pack(layers)
    assert packed.packed.shape == (rows, tokens, layout.width)
    assert packed.size_bytes == 4 * sum(key.numel() + value.numel() for key, value in layers)
    for index, (key, value) in enumerate(layers):
        got = layout.layer(packed.packed, index)
        assert torch.equal(got[0], key)
        assert torch.equal(got[1], value)


@given(
    counts=st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=5),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_rows_are_joined_and_chosen_as_lists_are(
    counts: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """Against lists of numbers: text, identity (0 without one), scale, SDXL's."""
    parts, expected = [], []
    for rows, with_identity in counts:
        start = len(expected) + 1
        own = range(start, start + rows)
        parts.append(
            RowConditions.of(
                some(rows, start=start),
                some(rows, tokens=2, start=start + 100) if with_identity else None,
                start / 100,
                text_embeds=torch.tensor([[float(row)] for row in own]),
                time_ids=torch.tensor([[float(row)] * 6 for row in own]),
            )
        )
        scale = start / 100 if with_identity else 0.0
        expected += [(row, row + 100 if with_identity else 0, scale) for row in own]
    joined = RowConditions.join(parts)
    order = data.draw(st.lists(st.integers(0, len(expected) - 1), min_size=1, max_size=6))
    for conditions, rows_in in ((joined, range(len(expected))), (joined.select(order), order)):
        want = [expected[row] for row in rows_in]
        assert conditions.rows == len(want)
        assert numbers(conditions.text.packed) == [text for text, _, _ in want]
        assert conditions.text_embeds is not None
        assert conditions.time_ids is not None
        assert conditions.text_embeds[:, 0].tolist() == [text for text, _, _ in want]
        assert conditions.time_ids[:, 5].tolist() == [text for text, _, _ in want]
        if not any(with_identity for _, with_identity in counts):
            assert conditions.identity is None
            assert conditions.identity_scales is None
            continue
        assert conditions.identity is not None
        assert conditions.identity_scales is not None
        assert numbers(conditions.identity.packed) == [identity for _, identity, _ in want]
        assert conditions.identity_scales.tolist() == pytest.approx([s for _, _, s in want])


def test_what_is_chosen_keeps_no_batch_alive() -> None:
    """A row in a store with a budget is counted alone, so it must be alone in memory."""
    whole = some(4)
    row = whole.select([2])
    assert row.packed.untyped_storage().nbytes() == row.size_bytes
    whole.packed.zero_()
    assert numbers(row.packed) == [2.0]


@pytest.mark.parametrize(
    "other",
    [
        some(1, tokens=5),
        some(1, width=4),
        KeyValues(torch.zeros(1, 3, 8, dtype=torch.float16)),
    ],
)
def test_what_differs_does_not_join(other: KeyValues) -> None:
    with pytest.raises(ConditionsRejected, match="do not share a batch"):
        KeyValues.join([some(2), other])


def test_rows_must_be_whole() -> None:
    with pytest.raises(ConditionsRejected, match="at least one row"):
        KeyValues.join([])
    with pytest.raises(ConditionsRejected, match="at least one row"):
        RowConditions.join([])
    with pytest.raises(ConditionsRejected, match="together"):
        RowConditions(some(2), identity=some(2))
    with pytest.raises(ConditionsRejected, match="the text has 2 rows"):
        RowConditions.of(some(2), some(3))
    with pytest.raises(ConditionsRejected, match="text_embeds"):
        RowConditions.of(some(2), text_embeds=torch.zeros(1, 4))
    with pytest.raises(ConditionsRejected, match="some rows have time_ids"):
        RowConditions.join(
            [RowConditions.of(some(1)), RowConditions.of(some(1), time_ids=torch.zeros(1, 6))]
        )
