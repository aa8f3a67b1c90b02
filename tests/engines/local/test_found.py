"""Processes that outlived both their parents: nobody's children, watched through a handle."""

import json
import os
import signal
import socket
import subprocess
from types import SimpleNamespace

import pytest

from jobd.daemon.supervisor_link import Link
from jobd.engines.base import Attempt, Heritage
from jobd.engines.local import processes
from jobd.engines.local.engine import LocalEngine
from jobd.system.clock import boot_us, now_us
from tests.engines.contexts import context_of

TOKEN = "fedcba9876543210" * 2
SLOT = 1
HOUR_US = 3_600_000_000


@pytest.fixture
def supervisor(monkeypatch):
    """Its end of the socket, and a link that listens at the other."""
    monkeypatch.setattr(processes, "_TOLD_WITHIN_S", 10.0)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = Link(theirs, lambda: None)
    link.start()
    ours.settimeout(10)
    yield SimpleNamespace(
        link=link,
        says=lambda message: ours.send(json.dumps(message).encode()),
        hears=lambda: json.loads(ours.recv(65536)),
        takes=lambda: taken(ours),
        dies=ours.close,
    )
    ours.close()
    theirs.close()


def taken(ours):
    """A message, and the descriptor beside it."""
    message, [descriptor], _, _ = socket.recv_fds(ours, 65536, 1)
    return json.loads(message), descriptor


@pytest.fixture
def spawn():
    started = []

    def start():
        started.append(subprocess.Popen(["sleep", "1000"], start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def job(spawn):
    return spawn()


def engine(directory, link, heritage=None):
    """That of the next daemon, where another has noted the job of `SLOT` before."""
    made = LocalEngine(context_of(directory, link=link, heritage=heritage or Heritage()))
    made._supervisor = 1
    return made


@pytest.fixture
def recovered(tmp_path, supervisor, job):
    """The job, as a daemon finds it whose supervisor has a handle of it."""
    made = engine(tmp_path, supervisor.link, Heritage({TOKEN: os.pidfd_open(job.pid)}))
    made._table.begin()
    made._table.intend(SLOT, TOKEN, os.getpid())
    made._table.spawned(SLOT, job.pid)
    found = made.recover([Attempt(TOKEN, 1, 1, SLOT)])[TOKEN]
    yield found
    made.close()


def ended(job):
    job.send_signal(signal.SIGKILL)
    job.wait()


def test_it_ended_when_the_supervisor_saw_it(supervisor, job, recovered):
    """Also where no daemon lived then: the next one sees only that it has ended."""
    ended(job)
    supervisor.says({"gone": TOKEN, "at": boot_us() - HOUR_US})
    assert abs(recovered.wait().at - (now_us() - HOUR_US)) < 60_000_000


def test_a_supervisor_that_saw_it_later_changes_nothing(supervisor, job, recovered):
    ended(job)
    supervisor.says({"gone": TOKEN, "at": boot_us() + HOUR_US})
    assert abs(recovered.wait().at - now_us()) < 60_000_000


def test_nobody_waits_for_the_word_of_one_that_has_died(supervisor, job, recovered, monkeypatch):
    monkeypatch.setattr(processes, "_TOLD_WITHIN_S", 1e6)
    ended(job)
    supervisor.dies()
    assert abs(recovered.wait().at - now_us()) < 60_000_000


def test_the_supervisor_keeps_its_handle_until_the_end_is_on_disk(supervisor, recovered):
    recovered.reap()
    assert supervisor.hears() == {"let_go": TOKEN}


def test_a_handle_of_what_is_on_disk_by_now_is_let_go_at_once(tmp_path, supervisor, job):
    made = engine(tmp_path, supervisor.link, Heritage({TOKEN: os.pidfd_open(job.pid)}))
    assert made.recover([]) == {}
    assert supervisor.hears() == {"let_go": TOKEN}
    made.close()


def test_whoever_gets_its_number_is_none_of_ours(supervisor, job, recovered):
    """An orphan of others, whose end the supervisor announces: nobody else would have it reaped."""
    ended_as = {"pid": job.pid, "exit_code": 0, "signal": None, "cpu_s": 0.0, "max_rss_kb": 1}
    supervisor.says({"ended": ended_as})
    assert supervisor.hears() == {"reap": job.pid}


def test_a_handle_of_what_was_found_is_the_supervisors_too(tmp_path, supervisor, spawn):
    """Both its parents died at once; from then on the death of one of those here is no loss."""
    made = engine(tmp_path, supervisor.link)
    made._table.begin()
    made._table.intend(SLOT, TOKEN, os.getpid())
    job = spawn()
    made._table.spawned(SLOT, job.pid)
    found = made.recover([Attempt(TOKEN, 1, 1, SLOT)])[TOKEN]
    message, handle = supervisor.takes()
    assert message == {"hold": TOKEN}
    ended(job)
    supervisor.says({"gone": TOKEN, "at": boot_us() - HOUR_US})
    assert abs(found.wait().at - (now_us() - HOUR_US)) < 60_000_000
    # It is one, and of this process.
    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(handle, 0)
    os.close(handle)
    made.close()
