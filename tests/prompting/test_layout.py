"""The layout: data that name every segment once."""

import pytest

from prompting import Attributes, Layout, optimize
from prompting.composition import ORDER
from prompting.layout import SEGMENT_NAMES, priority


def test_the_default_layout_names_every_segment_once() -> None:
    layout = Layout.default()
    assert sorted(layout.order) == sorted(SEGMENT_NAMES) == sorted(priority())
    assert {*ORDER, "subject", "phrases"} == SEGMENT_NAMES
    assert layout.version >= 1


def test_a_name_that_is_unknown_missing_or_said_twice_is_refused() -> None:
    order = Layout.default().order
    with pytest.raises(ValueError, match='unknown segment "hairs": did you mean "hair"'):
        Layout((*order, "hairs"), version=2)
    with pytest.raises(ValueError, match='"hat" is named twice'):
        Layout((*order, "hat"), version=2)
    with pytest.raises(ValueError, match="without a place: age, hat"):
        Layout(tuple(name for name in order if name not in ("age", "hat")), version=2)


def test_the_layout_given_decides_the_order_and_is_told() -> None:
    attributes = Attributes(gender="man", age=60, hat=True, light="left", phrases=["a dog"])
    backwards = Layout(tuple(reversed(Layout.default().order)), version=7)
    plan, other = optimize(attributes), optimize(attributes, layout=backwards)
    assert other.layout_version == 7
    assert plan.layout_version == Layout.default().version
    assert other.segments == tuple(reversed(plan.segments))
