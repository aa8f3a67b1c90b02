"""What is counted: committed moves, few groups, the last transaction."""

from jobd.contract.states import Reason, State, exit_code_reason
from jobd.core.ledger import Ledger
from jobd.core.undo import Undo
from jobd.daemon.jobs.tally import AttemptEnd, Change, Tally
from jobd.daemon.metrics.figures import OTHERS, JobFigures, WorkFigures


def counting():
    undo = Undo()
    figures, tally = JobFigures(undo), Tally(Ledger(undo, workers=1, next_id=1), undo)
    tally.subscribe(figures)
    return tally, undo, figures


def test_what_is_taken_back_was_never_counted():
    tally, undo, figures = counting()
    tally.count("default", None, State.PENDING, 3)
    undo.play()
    assert not figures.jobs
    assert not figures.submitted
    tally.count("default", None, State.PENDING, 2)
    assert not figures.jobs  # not on disk yet
    undo.clear()
    assert figures.jobs == {("default", State.PENDING): 2}
    assert figures.submitted == {"default": 2}


def test_what_is_loaded_counts_with_what_comes_behind_it_in_its_transaction():
    tally, undo, figures = counting()
    tally.count("net", None, State.PENDING)  # it is in what is loaded
    figures.load(lambda: {(State.PENDING, "net"): 1, (State.FAILED, "default"): 4})
    tally.count("net", State.PENDING, State.RUNNING)
    undo.clear()
    assert +figures.jobs == {("net", State.RUNNING): 1, ("default", State.FAILED): 4}


def test_another_group_is_no_new_job():
    tally, undo, figures = counting()
    tally.count("a", None, State.PENDING)
    tally.regrouped("a", "b")
    undo.clear()
    assert +figures.jobs == {("b", State.PENDING): 1}
    assert figures.submitted == {"a": 1}


def test_ends_are_counted_by_the_kind_of_their_reason():
    figures = JobFigures(Undo())
    for code in range(1, 200):
        reason = exit_code_reason(code)
        figures.changed(Change("default", State.RUNNING, State.FAILED, reason=reason))
    figures.changed(Change("default", State.RUNNING, State.COMPLETED))
    assert figures.ended == {
        ("default", State.FAILED, "exit code"): 199,
        ("default", State.COMPLETED, ""): 1,
    }


def test_an_attempt_says_how_it_was():
    figures = JobFigures(Undo())
    figures.began("default", State.RUNNING, 2.0)
    figures.over(
        AttemptEnd("default", State.PENDING, Reason.QUEUED, Reason.LOST, ran_s=3.0, output_bytes=7)
    )
    assert set(figures.jobs.values()) == {0}  # it pends again
    assert not figures.ended
    assert figures.waited["default"].sum == 2.0
    assert figures.ran["default"].sum == 3.0
    assert (figures.attempts, figures.retried, figures.lost) == ({"default": 1},) * 3
    assert figures.output_bytes == 7


def test_a_thousand_groups_are_a_hundred_labels_and_one():
    figures = JobFigures(Undo())
    for number in range(1000):
        figures.changed(Change(f"g{number}", None, State.PENDING))
        figures.began(f"g{number}", State.RUNNING, 0.0)
    assert len({group for group, _ in figures.jobs}) == len(figures.waited) == 101
    assert figures.jobs[OTHERS, State.RUNNING] == 900


def test_requests_are_counted_by_name():
    work = WorkFigures()
    work.answered("show", 0.1, well=True)
    work.answered("show", 0.2, well=False)
    ((name, taken, failed),) = work.requests()
    assert (name, taken.count, failed) == ("show", 2, 1)
