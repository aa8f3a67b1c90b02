"""`watch` on a terminal is woken by what happens and by what is printed, and by nothing else."""

import os
import threading
import time

import msgspec
import pytest

from jobctl.actions.watch import Watching
from jobd.client.client import Client
from jobd.contract.call import Call, Caller, Role
from jobd.contract.errors import NotRunning
from jobd.contract.models import Events, List, Output
from jobd.contract.states import State
from jobd.daemon.queries.events import _GATHER_S
from jobd.outputs.files import PIECE
from jobd.system import inotify
from tests.helpers import wait_until
from tests.integration.inside import ids

CALL = Call(Caller("user", Role.ADMIN))


class Asking(Client):
    """Notes what it asks."""

    def __init__(self, socket):
        super().__init__(socket)
        self.asked = []

    def request(self, request, kind):
        self.asked.append(request)
        return super().request(request, kind)

    def of(self, kind):
        return [request for request in self.asked if isinstance(request, kind)]


class Watcher:
    """Somebody who watches jobs in a thread of its own; the screen is in memory."""

    def __init__(self, daemon, *jobs):
        self.client = Asking(daemon.paths.socket)
        after = daemon.client.events(Events(after=None)).next
        self.pictures = []
        self._watching = Watching(self.client, ids(*jobs), after, self)
        self._thread = threading.Thread(target=self._watching.run)
        self._thread.start()

    def room(self):
        return 20

    def show(self, picture, said):
        del said
        self.pictures.append(picture)

    def idle(self):
        pass

    def busy(self):
        pass

    @property
    def line(self):
        """What it shows of the only job."""
        return "".join(self.pictures[-1].lines.values()) if self.pictures else ""

    def is_settled(self):
        """It waits, and knows what was printed."""
        asked = self.client.asked
        return bool(asked) and isinstance(asked[-1], Events) and asked[-1].wait > _GATHER_S

    def end(self):
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.client.close()


def test_nothing_is_asked_while_a_job_is_silent(daemon, gate):
    job = daemon.submit(f"echo begin; read _ <{gate.path}; echo end; read _ <{gate.path}")
    watcher = Watcher(daemon, job)
    wait_until(lambda: watcher.is_settled() and watcher.line == "begin")
    count = len(watcher.client.asked)
    # The daemon itself measures the time, longer than once a second.
    daemon.client.events(Events(after=daemon.daemon.built.ground.notifier.last_event, wait=2.5))
    assert len(watcher.client.asked) == count
    gate.open()
    wait_until(lambda: watcher.line == "end")
    assert len(watcher.client.of(Output)) <= 3
    gate.open()
    watcher.end()
    assert watcher.pictures[-1].counts[State.COMPLETED] == 1


def test_that_there_is_more_is_known_without_reading_it(daemon, gate, monkeypatch):
    job = daemon.submit(f"head -c 3000000 /dev/zero; read _ <{gate.path}")
    size = daemon.daemon.built.ground.engines.workspaces.output_of(None, job, 1).size
    wait_until(lambda: size() == 3_000_000)
    read, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda *args: read.append(args[1]) or pread(*args))
    assert asked(daemon, written={job: 10}).written == [job]
    assert PIECE not in read, "the monitor's look at the end may be among them"
    gate.open()


def test_a_job_that_prints_all_the_time_is_not_told_of_byte_by_byte(daemon):
    line = (
        "python3 -c 'import os, time\nfor _ in range(2000): os.write(1, b\"x\"); time.sleep(.001)'"
    )
    began = time.monotonic()
    watcher = Watcher(daemon, daemon.submit(line))
    watcher.end()
    spent = time.monotonic() - began
    assert len(watcher.client.of(Output)) <= spent / _GATHER_S + 2
    assert len(watcher.client.of(List)) <= spent / _GATHER_S + 5


def asked(daemon, **fields):
    """What is answered to one who wants to hear of what is behind the last event."""
    after = daemon.daemon.built.ground.notifier.last_event
    return daemon.client.events(Events(after=after, **fields))


def test_only_those_that_printed_more_than_is_known_are_told(daemon, gate):
    line = f"printf abc; read _ <{gate.path}"
    jobs = [daemon.submit(line) for _ in range(2)]
    wait_until(lambda: all(daemon.output(job) == b"abc" for job in jobs))
    first, second = jobs
    assert asked(daemon, written={first: 3, second: 2}, wait=20.0).written == [second]
    assert asked(daemon, written={first: 3, second: 3, 999: 0}).written == []
    for _ in jobs:
        gate.open()
    daemon.wait(*jobs)
    assert asked(daemon, written=dict.fromkeys(jobs, 0)).written == []


@pytest.mark.parametrize("missing", ["inotify_init1", "inotify_add_watch"])
def test_where_the_kernel_watches_nothing_it_is_looked_at(daemon, gate, monkeypatch, missing):
    monkeypatch.setattr(inotify._libc, missing, lambda *_: -1)
    job = daemon.submit(f"echo 1; read _ <{gate.path}; echo 2; read _ <{gate.path}")
    watcher = Watcher(daemon, job)
    wait_until(lambda: watcher.is_settled() and watcher.line == "1")
    gate.open()
    wait_until(lambda: watcher.line == "2")
    gate.open()
    watcher.end()


def test_an_output_that_cannot_be_read_is_no_news_and_no_error(daemon, gate):
    job = daemon.submit(f"echo 1; read _ <{gate.path}")
    path = daemon.paths.output_of(job, 1)
    wait_until(lambda: path.exists() and path.read_bytes())
    os.rename(path, path.with_name("away"))
    os.symlink("away", path)
    assert asked(daemon, written={job: 0}, wait=0.6).written == []
    gate.open()


def ask_in_a_thread(daemon, request):
    """Straight to the use case: a client would ask the next daemon."""
    answers = []

    def ask():
        try:
            answers.append(daemon.daemon.built.questions.queries.events.events(request, CALL))
        except NotRunning as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


def test_a_daemon_that_closes_lets_those_who_watch_go(make, gate):
    daemon = make()
    built = daemon.daemon.built
    job = daemon.submit(f"echo 1; read _ <{gate.path}")
    wait_until(lambda: daemon.output(job))
    request = Events(after=built.ground.notifier.last_event, wait=20.0, written={job: 2})
    thread, answers = ask_in_a_thread(daemon, request)
    wait_until(lambda: built.questions.followers._by_job)
    built.questions.followers.close()
    # There may be more to tell until nothing happens any more.
    gate.open()
    thread.join(10)
    assert [[each.event for each in page.events] for page in answers] == [["completed"]]
    request = msgspec.structs.replace(request, after=answers[0].next)
    thread, answers = ask_in_a_thread(daemon, request)
    built.ground.notifier.close()
    thread.join(10)
    assert isinstance(answers[0], NotRunning)


def test_an_earlier_daemon_sees_a_request_that_it_knows_where_nothing_is_watched():
    assert b"written" not in msgspec.msgpack.encode(Events(after=1, written={}))
    assert b"written" in msgspec.msgpack.encode(Events(after=1, written={1: 0}))
