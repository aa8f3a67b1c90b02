"""What the machine refuses: no job fails of it, status says so, and then all go on."""

import errno
import os
import shutil
import threading

import pytest

from jobd.contract.errors import StoreFailed, StoreGone
from jobd.contract.states import State
from jobd.daemon.execution import breaker, monitor
from jobd.engines.local import spawn
from jobd.outputs.on_disk import DiskWorkspace
from tests.helpers import wait_until
from tests.integration.inside import ids


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_an_output_directory_that_cannot_be_written_fails_no_job(make, monkeypatch, code):
    monkeypatch.setattr(breaker, "_FIRST_S", 0.05)
    daemon = make(workers=2)
    tries = []

    def refuse(path):
        tries.append(path)
        raise OSError(code, os.strerror(code))

    fine = spawn.open_output
    monkeypatch.setattr(spawn, "open_output", refuse)
    first = daemon.submit("exit 3", "exit 4", "exit 5")
    trouble = wait_until(lambda: daemon.client.status().error)
    assert trouble.startswith("no job can be started: output: ")
    assert trouble.endswith(os.strerror(code).lower())
    wait_until(lambda: daemon.job(first).state is State.PENDING)
    wait_until(lambda: len(tries) > 2, 30)  # it is tried again
    monkeypatch.setattr(spawn, "open_output", fine)
    daemon.wait(first, first + 1, first + 2)
    found = [daemon.job(first + number) for number in range(3)]
    assert [(job.exit_code, job.attempt) for job in found] == [(3, 1), (4, 1), (5, 1)]
    wait_until(lambda: daemon.client.status().error is None)


def test_nothing_is_left_of_an_attempt_that_never_started(make, monkeypatch):
    """Its number comes again, or never, where the job is stopped while it waits."""
    daemon, tries = make(), []

    def refuse(*_):
        tries.append(None)
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(spawn, "prepare", lambda *_: refuse)
    job = daemon.submit("exit 3")
    wait_until(lambda: tries and daemon.job(job).state is State.PENDING)
    daemon.client.stop(ids(job))
    wait_until(lambda: daemon.job(job).state is State.STOPPED)
    assert not daemon.paths.output_of(job, 1).exists()


def test_without_a_thread_a_job_is_put_back_and_tried_again(make, monkeypatch):
    """pthread_create(3) fails before the first worker thread is there."""
    daemon = make(workers=2)
    fine = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith("worker"):
            raise RuntimeError("can't start new thread")
        fine(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    first = daemon.submit("exit 3", "exit 4", "exit 5")
    trouble = wait_until(lambda: daemon.client.status().error)
    assert "no thread" in trouble
    wait_until(lambda: daemon.job(first).state is State.PENDING)
    monkeypatch.setattr(threading.Thread, "start", fine)
    daemon.wait(first, first + 1, first + 2)
    found = [daemon.job(first + number) for number in range(3)]
    assert [(job.exit_code, job.attempt) for job in found] == [(3, 1), (4, 1), (5, 1)]
    wait_until(lambda: daemon.client.status().error is None)


def test_a_quota_that_shows_when_the_output_is_closed_fails_no_job(make, monkeypatch):
    """Its process has started by then: nobody else may be told to see to it."""
    daemon = make()
    mine, opened, fine = [], spawn.open_output, os.close

    def note(path):
        mine.append(opened(path))
        return mine[-1]

    def close(descriptor):
        fine(descriptor)
        if descriptor in mine:
            mine.remove(descriptor)
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(spawn, "open_output", note)
    monkeypatch.setattr(os, "close", close)
    job = daemon.submit("exit 3")
    daemon.wait(job)
    assert (daemon.job(job).exit_code, daemon.job(job).reason) == (3, "exit code 3")


def test_what_stands_in_the_place_of_one_output_concerns_that_job_alone(make):
    daemon = make(workers=0)
    job = daemon.submit("true", "true")
    path = daemon.paths.output_of(job, 1)
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/null")
    daemon.client.workers(1)
    daemon.wait(job, job + 1)
    assert daemon.job(job).reason.startswith(f"could not start: output: {path}: too many levels")
    assert daemon.job(job + 1).state is State.COMPLETED
    assert daemon.client.status().error is None


def test_a_deleted_database_is_noticed_and_nothing_pretends_to_be_saved(make):
    daemon = make(workers=1)
    job = daemon.submit("sleep 1000", "true")
    wait_until(lambda: daemon.job(job).state is State.RUNNING)
    with daemon.connect() as other:
        shelter = daemon.paths.database.with_name("moved")
        os.rename(daemon.paths.database, shelter)
        with pytest.raises(StoreGone, match="was deleted or moved while the daemon runs"):
            daemon.submit("true")
        with pytest.raises(StoreGone):
            daemon.client.stop(ids(job))
        assert "was deleted or moved" in other.status().error
        # Put back, it is the one that is open, and all goes on.
        os.rename(shelter, daemon.paths.database)
        other.stop(ids(job))
        daemon.wait(job, job + 1)
        assert daemon.job(job + 1).state is State.COMPLETED
        wait_until(lambda: other.status().error is None)


def test_a_daemon_whose_home_is_gone_still_shuts_down(make):
    daemon = make(workers=1)
    job = daemon.submit("trap 'exit 5' TERM; echo up; sleep 1000 & wait")
    wait_until(lambda: daemon.output(job) == b"up\n")
    pid = daemon.job(job).pid
    shutil.rmtree(daemon.paths.state)
    daemon.daemon.built.execution.drain.begin()
    daemon.daemon.built.execution.stop_orders.end_all()
    wait_until(lambda: not daemon.daemon.built.execution.runs, 30)
    # It is reaped right behind that.
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    daemon.daemon.close(clean=True)
    daemon.abandon()


def test_an_end_that_cannot_be_saved_at_first_keeps_what_was_said_last(make, monkeypatch):
    """It is looked at once, by its worker: the timer's thread has the time of all others."""
    daemon, lookers = make(workers=1), []
    execution = daemon.daemon.built.execution
    look, ended = execution.monitor.last_look, daemon.daemon.built.lifecycle.moves.ended

    def looked(run):
        lookers.append(threading.current_thread().name)
        return look(run)

    def fails_once(*args):
        monkeypatch.setattr(daemon.daemon.built.lifecycle.moves, "ended", ended)
        raise StoreFailed("could not be saved")

    monkeypatch.setattr(execution.monitor, "last_look", looked)
    monkeypatch.setattr(daemon.daemon.built.lifecycle.moves, "ended", fails_once)
    job = daemon.submit("echo 90%; exit 3")
    daemon.wait(job)
    assert lookers == ["worker_0"]
    assert daemon.job(job).progress == 90


@pytest.mark.parametrize("owner", [monitor, DiskWorkspace], ids=["recognition", "workspace"])
def test_an_end_is_recorded_though_its_last_look_breaks_down(make, monkeypatch, caplog, owner):
    daemon = make()

    def breaks_down(*_):
        raise ValueError("nobody thought of it")

    what = "from_output" if owner is monitor else "report_of"
    monkeypatch.setattr(owner, what, breaks_down)
    job = daemon.submit("echo 50%; exit 3")
    daemon.wait(job)
    assert daemon.job(job).exit_code == 3
    assert f"job {job}: what it said last cannot be read" in caplog.text
    wait_until(lambda: not daemon.daemon.built.execution.runs)
