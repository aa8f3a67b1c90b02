"""The monitor sleeps while running jobs say nothing, and hears of the first word."""

import errno
import os

import pytest

from jobd.contract.models import Events, Selector
from jobd.daemon.execution import monitor as module
from jobd.system import inotify
from tests.helpers import wait_until

PROMPT_S = 0.01


class Waits:
    """The monitor's waits for something to do, counted as they begin and as they end.

    That nothing is to be done says little alone: each of its rounds begins by saying so.
    """

    def __init__(self, awake):
        self._awake = awake
        self._begun = self._ended = 0
        self._wait = awake.wait
        awake.wait = self

    def __call__(self, timeout=None):
        self._begun += 1
        woken = self._wait(timeout)
        self._ended += 1
        return woken

    def sleeps(self):
        """The same wait before and after the look at it, and nothing that ends it."""
        ended = self._ended
        asleep = self._begun == ended + 1 and not self._awake.is_set()
        return asleep and self._ended == ended


class Silent:
    """A job that has printed something, and then says what it is told to by a gate."""

    def __init__(self, daemon, gate, line):
        self._daemon = daemon
        self._gate = gate
        self.monitor = daemon.daemon.built.execution.monitor
        self.rounds = 0
        original = self.monitor._look_at_all

        def look(runs):
            self.rounds += 1
            return original(runs)

        self.monitor._look_at_all = look
        self._waits = Waits(self.monitor._awake["local"])
        self.job = daemon.submit(f"echo 10%; {line.format(gate=gate.path)}; exec sleep 100")

    def sleeps(self):
        """It has looked a few times, and then not any more."""
        return self.progress() and self._waits.sleeps()

    def progress(self):
        return self._daemon.job(self.job).progress


@pytest.fixture
def silent(daemon, gate, monkeypatch):
    monkeypatch.setattr(module, "_EVERY", PROMPT_S)

    def begun(line):
        job = Silent(daemon, gate, line)
        wait_until(job.sleeps)
        assert job.progress() == 10
        return job

    yield begun
    daemon.client.stop(Selector(all=True), grace=0.0)


WORDS = {
    "output": "read _ <{gate}; echo 40%",
    "report": 'read _ <{gate}; echo 40 >"$JOBD_PROGRESS"',
    "a report that is replaced": (
        'echo 40 >"$PWD/made"; read _ <{gate}; mv "$PWD/made" "$JOBD_PROGRESS"'
    ),
}


@pytest.mark.parametrize("line", WORDS.values(), ids=WORDS)
def test_it_sleeps_until_the_job_says_something(silent, gate, line):
    job = silent(line)
    before = job.rounds
    gate.open()
    wait_until(lambda: job.progress() == 40)
    assert job.rounds > before
    # And then again.
    wait_until(job.sleeps)


def test_while_it_sleeps_nothing_is_looked_at(silent, daemon):
    job = silent("true")
    before = job.rounds
    newest = daemon.client.events(Events(after=None)).next
    # The daemon itself measures the time: nothing happens, so it answers at the end of it.
    assert daemon.client.events(Events(after=newest, wait=30 * PROMPT_S)).events == []
    assert job.rounds == before


def test_an_end_and_a_start_wake_it(silent, daemon):
    job = silent("true")
    other = daemon.submit("exit 0")
    daemon.wait(other)
    wait_until(job.sleeps)
    daemon.client.stop(Selector(all=True), grace=0.0)
    writes = daemon.daemon.built.ground.writes
    wait_until(lambda: writes._files == {})
    wait_until(job.sleeps)


def test_where_the_kernel_has_no_watch_to_give_it_looks_again_and_again(daemon, gate, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_EVERY", PROMPT_S)
    monkeypatch.setattr(inotify.Inotify, "add", refuse)
    job = Silent(daemon, gate, "read _ <{gate}; echo 40%")
    wait_until(lambda: job.progress() == 10)
    begun = job.rounds
    wait_until(lambda: job.rounds > begun + 2 * module._SILENT)
    gate.open()
    wait_until(lambda: job.progress() == 40)
    daemon.client.stop(Selector(all=True), grace=0.0)
