"""A running attempt in memory: what a transaction said of it, and that it can be taken back."""

import signal
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from jobd.contract.errors import StoreFailed
from jobd.contract.states import Reason
from jobd.core.eta import begun
from jobd.core.progress.recognition import Reading
from jobd.core.ready_queue import Entry
from jobd.core.undo import Undo
from jobd.daemon.execution.progress_reports import ProgressReports
from jobd.daemon.execution.run import Run
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.stop_orders import Pauses, StopOrders
from jobd.store.records import Policy, Spec, Started, StopOrder
from jobd.system.clock import now_us


@pytest.fixture
def run():
    spec = Spec(argv=[b"true"], shell=False, cwd=b"/", umask=0o022)
    made = Run(Started(Entry(1), 1, "", spec, 1, 0, Policy(), 0, None, "local"), slot=1)
    made.pace = begun(10.0, 100.0, 90.0)
    return made


@pytest.fixture
def undo():
    return Undo()


@pytest.fixture
def orders(undo):
    store = SimpleNamespace(stop_ordered=lambda _job, _order: None)
    return StopOrders(store, None, undo, None, None, timer=None, grace=lambda: 10.0)


@pytest.fixture
def pauses(undo):
    return Pauses(undo, SimpleNamespace(post=lambda *_: None))


def test_an_order_is_carried_out_only_once_it_is_on_disk(run, orders, undo):
    run.begun(object())
    first = StopOrder(Reason.BY_USER, 15, 1.0, 0)
    orders.give(run, first)
    assert run.take_order() is None
    undo.play()
    assert (run.order, run.take_order()) == (None, None)
    orders.give(run, first)
    undo.clear()
    assert run.take_order() is first
    assert run.take_order() is None
    # A second one that is not saved leaves the first.
    orders.give(run, StopOrder(Reason.BY_USER, 9, 0.0, 0))
    undo.play()
    undo.clear()
    assert (run.order, run.take_order(), run.over()) == (first, None, first)


def test_an_order_that_is_not_saved_cancels_nothing(run, orders, undo):
    orders.give(run, StopOrder(Reason.BY_USER, 15, 1.0, 0))
    assert not run.cancelled()
    undo.clear()
    assert run.cancelled()


def test_a_pause_that_is_not_saved_is_none(run, pauses, undo):
    pauses.give(run, 100.0, paused=True)
    assert run.halted
    undo.play()
    assert not run.halted


def test_a_resumption_that_is_not_saved_is_none(run, pauses, undo):
    pauses.give(run, 100.0, paused=True)
    undo.clear()
    pace = run.pace
    pauses.give(run, 160.0, paused=False)
    assert not run.halted
    assert run.pace != pace
    undo.play()
    assert run.halted
    assert run.pace == pace
    # And once more, now for good: the same time is left as if nothing had been.
    pauses.give(run, 160.0, paused=False)
    assert run.pace != pace


def test_a_process_that_was_halted_for_a_pause_that_is_not_saved_goes_on(run, undo):
    """It began at the very moment when the pause was decided."""
    posted = []
    signaller = SimpleNamespace(
        post=lambda _process, number, needed: posted.append((number, needed))
    )
    pauses = Pauses(undo, signaller)
    run.begun(object())
    pauses.give(run, 100.0, paused=True)
    pauses.carry_out(run)
    undo.play()
    assert [(number, needed()) for number, needed in posted] == [
        (signal.SIGSTOP, False),
        (signal.SIGCONT, True),
    ]


def test_a_process_that_went_on_for_a_resumption_that_is_not_saved_is_halted(run, undo):
    """It began at the very moment when the resumption was decided, and was told nothing."""
    posted = []
    pauses = Pauses(undo, SimpleNamespace(post=lambda _run, number, _: posted.append(number)))
    pauses.give(run, 100.0, paused=True)
    undo.clear()
    pauses.give(run, 160.0, paused=False)
    run.begun(object())
    undo.play()
    assert posted == [signal.SIGSTOP]


def test_one_that_was_told_nothing_is_told_nothing_when_that_is_taken_back(run, undo):
    posted = []
    pauses = Pauses(undo, SimpleNamespace(post=lambda _run, number, _: posted.append(number)))
    run.begun(object())
    pauses.give(run, 100.0, paused=True)
    pauses.repeat(run)
    undo.play()
    assert posted == []
    pauses.repeat(run)
    assert posted == []
    undo.clear()
    assert posted == [signal.SIGCONT]


def test_a_report_that_is_not_saved_does_not_count_in_the_time_left(run, undo):
    progress_reports = ProgressReports(
        SimpleNamespace(progressed=lambda *_: None), Runs(undo), None, None
    )
    before = run.pace
    progress_reports.note(run, Reading(20.0, ""), "", 200_000_000)
    assert run.pace != before
    undo.play()
    assert run.pace == before
    progress_reports.note(run, Reading(20.0, ""), "", 200_000_000)
    undo.clear()
    undo.play()
    assert run.pace != before


class Disk:
    """As a writer and its reserve have it, while nothing can be saved."""

    def __init__(self, *, in_use):
        self.in_use = in_use

    def post(self, _action, *, failed):
        failed(StoreFailed("no space"))


@pytest.mark.parametrize("in_use", [True, False])
def test_a_report_that_is_not_saved_is_news_the_next_time(run, undo, in_use):
    disk = Disk(in_use=in_use)
    progress_reports = ProgressReports(None, Runs(undo), disk, disk)
    run.reading = said = Reading(20.0)
    progress_reports.post(run, said)
    assert run.reading is None
    run.reading = later = Reading(30.0)
    progress_reports.post(run, said)
    assert run.reading is later


def test_it_ended_when_its_end_was_heard_of_first(run):
    assert run.ran.ended_at is None
    before = now_us()
    run.ended(None)
    first = run.ran.ended_at
    assert before <= first <= now_us()
    run.ended(first + 1)  # it is recorded again, since it could not be saved
    assert run.ran.ended_at == first


@pytest.mark.parametrize(("begun", "at", "kept"), [(1_000, 5_000, 5_000), (5_000, 1_000, 5_000)])
def test_no_clock_lets_it_end_before_it_began(run, begun, at, kept):
    run.started = replace(run.started, at=begun)
    run.ended(at)
    assert run.ran.ended_at == kept


def test_nor_in_the_future(run):
    run.ended(now_us() + 10**12)
    assert run.ran.ended_at <= now_us()
