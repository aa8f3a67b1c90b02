"""Very many ids, none of which are moved with all the others."""

from hypothesis import given
from hypothesis import strategies as st

from jobd.core.id_set import IdSet


@given(st.lists(st.integers(1, 1 << 40)), st.lists(st.integers(1, 1 << 40)))
def test_it_has_what_was_added_and_nothing_else(added, others):
    ids = IdSet()
    ids.add(added)
    assert all(number in ids for number in added)
    assert all((number in ids) == (number in added) for number in others)


def test_no_piece_is_large_however_many_there_are():
    ids = IdSet()
    ids.add(range(1, 100_001))
    assert max(map(len, ids._pieces.values())) <= 4096
    assert 50_000 in ids
    assert 100_001 not in ids
