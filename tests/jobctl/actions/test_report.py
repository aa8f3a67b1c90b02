"""What a report shows of many attempts."""

import pytest

from jobctl.actions.history import Window
from jobctl.actions.report import BARS, STRETCHES, Curve, Record, Unfinished, review
from jobd.contract.states import State
from tests.jobctl.actions.test_history import HOUR, NOON, ended
from tests.jobctl.fakes import job

NOBODY = Unfinished(running=[], waiting=[])


def reviewed(*attempts, unfinished=NOBODY, since=NOON, until=NOON + HOUR, workers=2):
    record = Record()
    record.add(attempts)
    window = Window(None if since is None else since / 1e6, until / 1e6)
    return review(record, unfinished, workers, window)


@pytest.mark.parametrize(
    ("spans", "values"),
    [
        ([(0, 10, 1)], [1, 1, 1, 1, 1]),
        ([(2, 4, 3)], [0, 3, 0, 0, 0]),
        ([(1, 5, 2)], [1, 2, 1, 0, 0]),
        ([(3, 4, 4)], [0, 2, 0, 0, 0]),
        ([(-9, 1, 2), (9, 99, 4)], [1, 0, 0, 0, 2]),
        ([(5, 5, 7), (8, 6, 7), (11, 12, 7), (-2, 0, 7)], [0] * 5),
        ([(0, 10, 1), (4, 6, 1)], [1, 1, 2, 1, 1]),
    ],
)
def test_a_curve_is_the_average_of_each_part(spans, values):
    curve = Curve(0, 10, 5)
    for span in spans:
        curve.add(*span)
    assert curve.values() == pytest.approx(values)


def test_what_waits_and_what_runs():
    """It waited for the first half hour, and took both workers in the second."""
    half = HOUR // 2
    found = reviewed(ended(begin=NOON + half, ran=1800.0, waited=1800.0, slots=2)).curves
    middle = len(found.busy) // 2
    assert found.waiting == pytest.approx([1] * middle + [0] * middle)
    assert found.busy == pytest.approx([0] * middle + [2] * middle)


def test_what_runs_and_waits_now_is_part_of_the_curves():
    runs = job(7, "running", run_s=1800.0, wait_s=600.0, slots=3)
    waits = job(8, "pending", wait_s=900.0)
    found = reviewed(ended(), unfinished=Unfinished(running=[runs], waiting=[waits]))
    assert found.curves.busy[-1] == pytest.approx(3)
    assert found.curves.waiting[-1] == pytest.approx(1)
    assert found.unfinished == (1, 1)
    assert reviewed(ended(), unfinished=None).unfinished is None


def test_processors_and_memory():
    found = reviewed(ended(ran=3600.0, cpu_us=2 * HOUR, max_rss_kb=500)).curves
    assert found.cores == pytest.approx([2] * len(found.cores))
    assert found.memory_kb == pytest.approx([500] * len(found.memory_kb))


def test_outcomes_lie_where_attempts_ended():
    found = reviewed(
        ended(), ended(2, state="failed", cause="lost", begin=NOON + HOUR - 1_000_000, ran=1.0)
    ).outcomes
    assert (found.completed[0], found.failed[-1]) == (1, 1)
    assert sum(found.completed + found.failed + found.stopped) == 2
    assert len(found.completed) == BARS


def test_few_attempts_of_a_worker_are_drawn_one_by_one():
    first = ended(4, 2, begin=NOON, ran=900.0)
    second = ended(5, begin=NOON + HOUR // 2, ran=1800.0, slot=3, state="failed", cause="lost")
    one, three = reviewed(first, second).lanes
    assert (one.slot, three.slot) == (1, 3)
    [bar] = one.segments
    assert (bar.left, bar.width, bar.job, bar.attempt, bar.seconds) == (0, 25, 4, 2, 900)
    assert (three.segments[0].left, three.segments[0].state) == (50, State.FAILED)


def test_of_many_the_colours_have_their_part_of_the_time():
    """A thousand in a row without a gap; of each ten in the second half one failed."""
    many = [
        ended(n, begin=NOON + (n - 1) * HOUR // 1000, ran=3.6,
              state="failed" if n > 500 and n % 10 == 0 else "completed", cause="lost")
        for n in range(1, 1001)
    ]  # fmt: skip
    [lane] = reviewed(*many).lanes
    assert lane.segments == []
    first, *others = lane.stretches
    assert (first.left, first.width) == pytest.approx((0, 50), abs=1)
    assert (first.completed, first.failed, first.stopped) == (100, 0, 0)
    # Each part has six attempts, of which one failed, or none.
    assert any(stretch.failed for stretch in others)
    assert all(stretch.failed < 50 <= stretch.completed for stretch in others)
    assert sum(stretch.attempts for stretch in lane.stretches) == lane.attempts == 1000


def test_a_worker_that_did_little_is_not_drawn_as_busy():
    many = [ended(n, begin=NOON + n * HOUR // 200, ran=1.8) for n in range(200)[1:]]
    [lane] = reviewed(*many).lanes
    # Every part of the hour has some, and none is filled.
    assert all(0 < stretch.completed < 25 for stretch in lane.stretches)


def test_what_is_drawn_stays_small_however_many_there_are():
    many = [
        ended(n, begin=NOON + n * HOUR // 20_000, ran=0.1, slot=n % 50 + 1,
              state="failed" if n % 2 else "completed", cause="exit code 1")
        for n in range(1, 20_000)
    ]  # fmt: skip
    found = reviewed(*many)
    assert (len(found.lanes), found.more_lanes) == (40, 10)
    assert max(len(lane.stretches) for lane in found.lanes) <= STRETCHES


def test_the_slowest_and_those_that_fail():
    jobs = [ended(n, ran=float(n), name=f"n{n % 3}") for n in range(1, 30)]
    bad = [ended(n, name="bad", state="failed", cause="exit code 2") for n in (40, 41)]
    found = reviewed(*jobs, *bad, ended(50, name="n1", state="failed", cause="lost"))
    assert [slow.job for slow in found.slowest] == [*range(29, 19, -1)]
    assert [(stats.key, stats.failed) for stats in found.failing] == [("bad", 2), ("n1", 1)]
    assert [stats.key for stats in found.exits] == ["0", "2", "lost"]


def test_without_a_beginning_it_begins_with_the_first_that_waited():
    found = reviewed(ended(waited=60.0), since=None)
    assert found.begin.timestamp() == NOON / 1e6 - 60


def test_of_nothing_there_is_a_report_too():
    found = reviewed()
    assert (found.total.attempts, found.lanes, found.slowest) == (0, [], [])
    assert reviewed(since=None, until=NOON).begin < reviewed(until=NOON).end
