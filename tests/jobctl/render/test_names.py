"""Names are cut to any width, whatever is in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.render.names import cut_apart
from jobctl.render.text import columns
from jobd.contract.wording import printable

NAMES = st.text(st.sampled_from("ab1 -_日本e\u0301…x[/]"), max_size=30)


@given(st.lists(NAMES, max_size=6), st.integers(1, 30))
def test_every_name_has_room(names, width):
    names = [printable(name) for name in names]
    cut = cut_apart(names, width)
    assert len(cut) == len(names)
    assert all(columns(each) <= width for each in cut)


@pytest.mark.parametrize(("names", "width"), [(["日本語", "run-1"], 1), (["日本語", "中文本"], 2)])
def test_those_that_begin_differently_may_look_the_same_all_the_same(names, width):
    assert all(columns(each) <= width for each in cut_apart(names, width))
