"""Whoever waits for a job is told of its end, whatever brought it about."""

import sqlite3
import threading

import pytest

from jobd.contract.errors import StoreFailed
from jobd.contract.states import State
from jobd.daemon.jobs.notifier import Subscriber
from jobd.outputs.on_disk import DiskWorkspace
from tests.helpers import wait_until
from tests.integration.inside import Inside, ids, submit_with
from tests.integration.test_engines import FAR, heirs, runs, world

__all__ = ["heirs", "world"]


class Heard(Subscriber):
    """What a daemon tells its parts of."""

    def __init__(self, inside):
        self.jobs = []
        self.notifier = inside.daemon.built.ground.notifier
        self.notifier.subscribe(self)

    def finished(self, job):
        self.jobs.append(job)


def is_told(inside, job):
    """Whoever waits for it alone, too."""
    waiter = inside.daemon.built.ground.notifier.register(job)
    return lambda: waiter.wait(10)


def in_writer(inside, action):
    return inside.daemon.built.ground.writer.call(action)


def test_of_all_that_are_stopped_or_fail_without_having_run(quiet):
    heard, parent = Heard(quiet), submit_with(quiet)
    child = submit_with(quiet, after=[(parent, parent)])
    quiet.client.stop(ids(parent))
    wait_until(lambda: heard.jobs == [parent, child])


def test_of_one_that_fails_since_its_record_is_damaged(quiet):
    job = submit_with(quiet)
    quiet.sql("UPDATE jobs SET spec = ? WHERE id = ?", b"\xff not a spec", job)
    told = is_told(quiet, job)
    in_writer(quiet, lambda: quiet.daemon.built.ground.ledger.set_workers(1))
    assert told()
    assert quiet.job(job).state is State.FAILED


def test_of_one_that_is_stopped_before_its_engine_can_say_that_it_never_began(
    make, world, jobd_home, heirs
):
    both = make(workers=6, groups=FAR)
    job = submit_with(both, group="far")
    attempt = runs(both, world, job)
    both.daemon.close(clean=False)
    both.abandon()
    del world._attempts[attempt.launch.token]
    world.goes_away("no answer")
    heirs.append(heir := Inside(jobd_home, workers=6, groups=FAR))
    heir.client.stop(ids(job))
    told = is_told(heir, job)
    world.comes_back()
    assert told()
    assert heir.job(job).state is State.STOPPED


def test_of_one_that_cannot_be_let_go(daemon, monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("it cannot be tidied")

    monkeypatch.setattr(DiskWorkspace, "tidy", refuse)
    job = submit_with(daemon, "exec sleep 1000")
    told = is_told(daemon, job)
    daemon.client.stop(ids(job))
    assert told()
    wait_until(lambda: "was not let go" in caplog.text)


def test_of_an_end_that_is_committed_alone_since_its_neighbour_failed(quiet, monkeypatch):
    ground, held = quiet.daemon.built.ground, threading.Event()
    job, moves = submit_with(quiet), quiet.daemon.built.lifecycle.moves

    def fail():
        raise sqlite3.OperationalError("disk I/O error")

    told = is_told(quiet, job)
    ground.writer.post(held.wait)
    ground.writer.post(lambda: moves.failed(ground.tables.jobs.look(job), "a test"))
    ground.writer.post(fail)
    # Nothing is committed together from here on.
    work = ground.writer._work
    monkeypatch.setattr(work, "_then", work._then._replace(finally_do=fail))
    held.set()
    assert told()
    assert quiet.job(job).state is State.FAILED


def test_of_none_that_was_taken_back(quiet):
    heard, job = Heard(quiet), submit_with(quiet)
    moves, jobs = quiet.daemon.built.lifecycle.moves, quiet.daemon.built.ground.tables.jobs
    quiet.client.stop(ids(job), dry_run=True)

    def fail():
        moves.failed(jobs.look(job), "a test")
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(StoreFailed, match="could not be saved"):
        in_writer(quiet, fail)
    other = submit_with(quiet)
    quiet.client.stop(ids(other))
    assert heard.jobs == [other]
    assert quiet.job(job).state is State.PENDING
