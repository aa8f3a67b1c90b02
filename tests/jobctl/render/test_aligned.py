"""Cells below each other, as `tabulate` would have them."""

from hypothesis import given
from hypothesis import strategies as st
from tabulate import tabulate

from jobctl.render import text
from jobctl.render.aligned import alignment

CELL = st.text("ab %-日本🙂é", max_size=8).map(str.strip)
TABLE = st.integers(1, 5).flatmap(
    lambda columns: st.tuples(
        st.lists(st.lists(CELL, min_size=columns, max_size=columns), min_size=1, max_size=5),
        st.lists(st.booleans(), min_size=columns, max_size=columns),
    )
)


@given(TABLE)
def test_it_is_what_tabulate_makes_of_them(table):
    rows, numeric = table
    widths = [max(map(text.columns, cells)) for cells in zip(*rows, strict=True)]
    expected = tabulate(
        rows,
        tablefmt="plain",
        colalign=["right" if is_numeric else "left" for is_numeric in numeric],
        disable_numparse=True,
    )
    lines = map(alignment(widths, numeric), rows)
    assert [line.rstrip() for line in lines] == [line.rstrip() for line in expected.split("\n")]
