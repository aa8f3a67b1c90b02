"""Slices by time."""

import pytest

from jobd.core.pace import Pace


def run(pace, each_s, slices):
    sizes = []
    for _ in range(slices):
        sizes.append(pace.size)
        pace.took(pace.size, pace.size * each_s)
    return sizes


def test_it_begins_small_and_doubles_while_that_is_quick():
    assert run(Pace(50, 500), 1e-5, 6) == [50, 100, 200, 400, 500, 500]


def test_what_is_slow_comes_in_slices_that_take_their_time_and_no_more():
    sizes = run(Pace(50, 500), 1e-4, 6)
    assert sizes[-1] == pytest.approx(100, abs=1)
    assert max(sizes) <= 101


def test_one_slow_slice_makes_the_next_small_at_once():
    pace = Pace(50, 500)
    run(pace, 1e-5, 6)
    pace.took(500, 0.2)
    assert pace.size == 50


def test_no_slice_is_smaller_than_the_least():
    """What an interrupted change has done is found by its slices, and those are remembered by
    number."""
    assert run(Pace(50, 500), 1.0, 3) == [50, 50, 50]


def test_where_there_is_less_to_do_at_a_time_the_least_is_that():
    assert run(Pace(50, 2), 0.0, 3) == [2, 2, 2]


def test_a_part_of_a_slice_counts_for_what_it_was():
    pace = Pace(50, 500)
    pace.took(10, 0.001)
    assert pace.size == 100
