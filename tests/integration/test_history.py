"""Finished attempts stay countable when their jobs are removed."""

from itertools import chain

import pytest

from jobd.client import past
from jobd.contract.models import History
from jobd.store import past as stored
from tests.helpers import wait_until
from tests.integration.inside import ids
from tests.integration.test_scheduling import submit


def attempts(inside, **which):
    return list(chain(*past.attempts(inside.client, History(**which))))


def places(found):
    return [(ended.job, ended.attempt) for ended in found]


def finished(inside, *lines, **options):
    first = submit(inside, *lines, **options)
    jobs = range(first, first + len(lines))
    inside.wait(*jobs)
    return [*jobs]


def test_an_attempt_reads_the_same_before_and_after_its_job_is_removed(daemon):
    failed, done = finished(daemon, "exit 3", "true", name="night")
    daemon.client.restart(ids(failed))
    daemon.wait(failed)
    before = attempts(daemon)
    assert places(before) == [(failed, 1), (failed, 2), (done, 1)]
    assert [(e.state, e.cause, e.exit_code) for e in before[:2]] == [
        ("failed", "exit code 3", 3)
    ] * 2
    one = before[0]
    assert (one.name, one.group, one.slots, one.slot > 0) == ("night", "default", 1, True)
    assert one.queued_at <= one.started_at <= one.finished_at
    # The second time it waited from the restart on.
    assert before[1].queued_at >= one.finished_at
    daemon.client.rm(ids(failed, done))
    assert attempts(daemon) == before
    assert daemon.sql("SELECT COUNT(*) FROM attempts") == [(0,)]


def test_what_never_ran_or_still_runs_is_no_finished_attempt(daemon):
    waits = submit(daemon, "true", hold=True)
    runs = submit(daemon, "sleep 60")
    wait_until(lambda: daemon.job(runs).pid is not None)
    daemon.client.stop(ids(waits))
    daemon.client.rm(ids(waits))
    assert attempts(daemon) == []


def test_the_filters(daemon):
    finished(daemon, "true", name="train-1")
    finished(daemon, "false", name="eval")
    daemon.client.rm(ids(1))
    every = attempts(daemon)
    middle = (every[0].finished_at + every[1].finished_at) / 2e6
    for which, found in [
        ({"states": ["failed"]}, [2]),
        ({"name": "train*"}, [1]),
        ({"groups": ["default"]}, [1, 2]),
        ({"groups": ["gpu"]}, []),
        ({"users": [every[0].user]}, [1, 2]),
        ({"users": ["somebody"]}, []),
        ({"since": middle}, [2]),
        ({"until": middle}, [1]),
    ]:
        assert [e.job for e in attempts(daemon, **which)] == found, which


def test_nothing_is_missed_or_told_twice_while_jobs_are_removed(daemon, monkeypatch):
    monkeypatch.setattr(stored, "_STRIDE", 2)
    jobs = finished(daemon, *["true"] * 9)
    seen = []
    for page in past.attempts(daemon.client, History()):
        seen += places(page)
        daemon.client.rm(ids(*jobs[:6]))  # behind and before the place where it reads
    assert seen == [(job, 1) for job in jobs]


def test_a_page_that_holds_none_is_not_the_last(daemon, monkeypatch):
    monkeypatch.setattr(stored, "_STRIDE", 2)
    jobs = finished(daemon, *["true"] * 7, "false")
    daemon.client.rm(ids(*jobs[::2]))
    pages = list(past.attempts(daemon.client, History(states=["failed"])))
    assert len(pages) > 2
    assert places(chain(*pages)) == [(jobs[-1], 1)]


def test_removal_that_fails_keeps_no_row(daemon):
    [job] = finished(daemon, "true")
    assert daemon.client.rm(ids(job), dry_run=True).done == [job]
    assert daemon.sql("SELECT COUNT(*) FROM past") == [(0,)]


@pytest.mark.parametrize(("most", "left"), [(3, [5, 6, 7]), (0, [*range(1, 8)])])
def test_of_removed_jobs_so_many_attempts_are_kept(make, most, left):
    inside = make(workers=2, retention={"max_history": most})
    jobs = finished(inside, *["true"] * 7)
    for job in jobs:
        inside.client.rm(ids(job))
    wait_until(lambda: [e.job for e in attempts(inside)] == left)


def test_what_retention_removes_counts_too(make):
    inside = make(workers=2, retention={"max_jobs": 1})
    jobs = finished(inside, *["true"] * 5)
    wait_until(lambda: inside.sql("SELECT COUNT(*) FROM jobs") == [(1,)])
    assert places(attempts(inside)) == [(job, 1) for job in jobs]
