"""The time left: right where a job is steady, calm where it is not."""

import itertools
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobd.core.eta import FIRST_S, Pace, begun, halted, reported, seconds_left


def played(reports, started_at=0.0):
    """What is told at each half second while these (time, percent) come in: (time, left)."""
    told, pace, now, end = [], None, 0.0, reports[-1][0]
    todo = list(reports)
    while now < end:
        while todo and todo[0][0] <= now:
            at, percent = todo.pop(0)
            pace = begun(percent, at, started_at) if pace is None else reported(pace, percent, at)
        left = seconds_left(pace, now)
        if left is not None:
            told.append((now, left))
        now += 0.5
    return told


def jumps(told):
    """How far the expected end moves from one look to the next, as a share of what is left."""
    ends = [(at + left, max(left, 30)) for at, left in told]
    return [abs(b - a) / left for (a, _), (b, left) in itertools.pairwise(ends)]


def assert_right(told, end, within):
    for at, left in told:
        assert abs(at + left - end) <= max(5, within * (end - at)), f"at {at}: {left} s"


def test_a_steady_job_is_told_right_from_the_first_moments():
    told = played([(3 * n, n) for n in range(101)])
    assert told[0][0] == 3.0
    assert_right(told, 300, 0.05)


def test_preparations_do_not_count():
    assert_right(played([(600 + 3 * n, n) for n in range(101)]), 900, 0.05)


def test_a_first_word_in_the_middle_counts_from_the_start():
    pace = begun(60, 160.0, 100.0)
    assert seconds_left(pace, 160.0) == 40


def test_nothing_is_said_in_the_first_moments():
    assert seconds_left(None, 0) is None
    assert seconds_left(begun(0, 100.0, 100.0), 500.0) is None
    pace = reported(begun(0, 100.0, 100.0), 1, 100.0 + FIRST_S / 2)
    assert seconds_left(pace, 100.0 + FIRST_S / 2) is None
    assert seconds_left(pace, 100.0 + FIRST_S) is not None


def test_a_quick_job_is_told_as_well():
    assert_right(played([(n / 2, 10 * n) for n in range(11)]), 5, 0.2)


def test_it_does_not_jump_about_where_the_job_does():
    luck = random.Random(7)
    at, reports = 0.0, []
    for percent in range(101):
        reports.append((at, percent))
        at += luck.uniform(1, 5)
    told = played(reports)
    assert max(jumps(told[20:])) < 0.2
    assert_right(told[20:], at, 0.35)


def test_a_job_that_becomes_slower_is_believed_without_a_jump():
    reports = [(n, n) for n in range(51)] + [(50 + 4 * n, 50 + n) for n in range(1, 51)]
    told = played(reports)
    assert max(jumps(told)) < 0.1
    assert_right([t for t in told if t[0] > 150], 250, 0.3)


def test_reports_in_large_steps_count_down_in_between():
    told = played([(0, 0), (10, 12), (20, 25), (31, 37), (40, 50), (50, 62), (61, 75), (80, 100)])
    lefts = [left for at, left in told if 20 <= at < 30]
    assert lefts == sorted(lefts, reverse=True)
    assert lefts[0] - lefts[-1] == pytest.approx(10, abs=5)


def test_a_job_that_stands_still_has_ever_more_left():
    pace = reported(begun(0, 0.0, 0.0), 10, 10.0)
    lefts = [seconds_left(pace, at) for at in (10.0, 20.0, 60.0, 600.0)]
    assert lefts[0] == 90
    assert lefts[1] < lefts[0] < lefts[2] < lefts[3]


def test_a_second_phase_begins_anew():
    pace = begun(0, 0.0, 0.0)
    for n in range(1, 101):
        pace = reported(pace, n, n * 10.0)
    pace = reported(pace, 0, 1010.0)
    assert seconds_left(pace, 1010.0) is None
    for n in range(1, 11):
        pace = reported(pace, n, 1010.0 + n)
    assert seconds_left(pace, 1020.0) == 90


def test_bars_in_turn_are_one():
    pace = begun(0, 0.0, 0.0)
    for n in range(10, 40):
        pace = reported(reported(pace, n, float(n)), n - 1, n + 0.5)
    assert seconds_left(pace, 39.5) == pytest.approx(60, abs=5)


def test_a_pause_does_not_count():
    pace = reported(begun(0, 0.0, 0.0), 10, 10.0)
    later = halted(pace, 3600.0)
    assert seconds_left(later, 3615.0) == seconds_left(pace, 15.0)
    assert reported(later, 20, 3620.0).seconds == reported(pace, 20, 20.0).seconds


def test_all_done_has_nothing_left():
    assert seconds_left(begun(100, 5.0, 0.0), 9.0) == 0
    assert seconds_left(reported(begun(50, 5.0, 0.0), 100, 6.0), 90.0) == 0


def test_the_clock_may_be_set_back():
    pace = reported(begun(10, 100.0, 90.0), 20, 95.0)
    assert pace == Pace(100.0, 10, 90.0, 10.0, 10, 10)
    assert seconds_left(pace, 50.0) == 90


@example([(0.0, 0.0), (9.0, 5e-324)], 9.0)
@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(0, 100)), min_size=1), st.floats(0, 1e9))
def test_whatever_comes_it_is_a_number_of_seconds(reports, now):
    (at, percent), *rest = reports
    pace = begun(percent, at, 0.0)
    for at, percent in rest:
        pace = reported(pace, percent, at)
    left = seconds_left(pace, now)
    assert left is None or 0 <= left < float("inf")
