"""Ranges of ids."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jobd.contract.ranges import Within, ids_in, merge_ranges, ranges_of, runs_of, width

RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=8)


def ids(ranges):
    return {job for low, high in ranges for job in range(low, high + 1)}


@given(RANGES)
def test_merged_they_mean_the_same(ranges):
    merged = merge_ranges(ranges)
    assert ids(merged) == ids(ranges)
    assert width(merged) == len(ids(ranges))
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(merged))
    assert ranges_of(sorted(ids(ranges))) == merged


@given(RANGES)
def test_an_id_is_within_or_not(ranges):
    within = Within(ranges)
    meant = ids(ranges) if merge_ranges(ranges) else range(70)
    assert [job for job in range(70) if within(job)] == sorted(meant)


@given(st.lists(st.integers(1, 9), unique=True))
def test_runs_keep_the_order(some):
    assert [job for run in runs_of(some) for job in ids_in(run)] == some


def test_a_run_goes_up_or_down():
    assert runs_of([*range(5, 9), *range(30, 20, -1), 2]) == [(5, 8), (30, 21), (2, 2)]
