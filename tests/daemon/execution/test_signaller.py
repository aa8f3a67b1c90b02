"""One look at /proc, and one delivery of signals, serve all who ask at about the same time."""

import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobd.daemon.execution.signaller import Signaller
from jobd.engines.local.engine import LocalEngine
from jobd.engines.local.process_snapshot import Survey
from jobd.engines.local.processes import Child
from jobd.system import linux
from jobd.system.timer import Timer
from tests.engines.contexts import context_of
from tests.helpers import wait_until

MANY = 20


class Scans:
    """Counts the looks at the machine; one that is held waits before it looks."""

    def __init__(self, monkeypatch):
        self.count = 0
        self.free = threading.Event()
        self.free.set()
        self._processes = linux.processes
        monkeypatch.setattr(linux, "processes", self._scan)

    def _scan(self):
        self.count += 1
        assert self.free.wait(30)
        return self._processes()


@pytest.fixture
def scans(monkeypatch):
    return Scans(monkeypatch)


def test_all_who_ask_during_a_scan_share_the_next(scans):
    survey, entered = Survey(), []

    def ask():
        entered.append(None)
        return survey.take()

    scans.free.clear()
    with ThreadPoolExecutor(MANY) as pool:
        first = pool.submit(survey.take)
        wait_until(lambda: scans.count == 1)
        others = [pool.submit(ask) for _ in range(MANY - 1)]
        # They have come once the lock has so many waiters; that can only be seen from outside.
        wait_until(lambda: len(entered) == MANY - 1)
        wait_until(lambda: all(_sleeps(thread) for thread in pool._threads))
        scans.free.set()
        shared = {future.result() for future in others}
    assert scans.count == 2
    assert len(shared) == 1
    assert first.result() not in shared


def _sleeps(thread):
    with open(f"/proc/self/task/{thread.native_id}/stat") as file:
        return file.read().rpartition(") ")[2][0] == "S"


def test_a_census_begins_after_it_was_asked_for(scans):
    survey = Survey()
    scans.free.clear()
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(survey.take)
        wait_until(lambda: scans.count == 1)
        with subprocess.Popen(["sleep", "100"], start_new_session=True) as process:
            late = pool.submit(survey.take)
            scans.free.set()
            assert [s.pid for s in late.result().members("", process.pid)] == [process.pid]
            process.kill()
        early.result()


def test_a_scan_that_fails_is_the_next_ones_to_do(scans, monkeypatch):
    survey, fine = Survey(), linux.processes
    monkeypatch.setattr(linux, "processes", lambda: os.listdir("/nowhere"))
    with pytest.raises(FileNotFoundError):
        survey.take()
    monkeypatch.setattr(linux, "processes", fine)
    assert survey.take().members("", os.getsid(0))


def test_many_jobs_are_signalled_with_one_scan(scans, tmp_path):
    engine = LocalEngine(context_of(tmp_path))
    jobs = [subprocess.Popen(["sleep", "100"], start_new_session=True) for _ in range(MANY)]
    survey = Survey()
    engine.signal([(Child(job.pid, "0" * 32, survey), signal.SIGTERM) for job in jobs])
    assert [job.wait(30) for job in jobs] == [-signal.SIGTERM] * MANY
    assert scans.count == 1
    engine.close()


class Deliveries:
    """In the place of the engine; the first `failures` of them go wrong."""

    def __init__(self, failures=0):
        self.lists = []
        self.free = threading.Event()
        self._failures = failures

    def __call__(self, orders):
        self.lists.append(orders)
        assert self.free.wait(30)
        if len(self.lists) <= self._failures:
            raise OSError("no descriptor is left")


@pytest.fixture
def signallers():
    made = []

    def make(deliver):
        timer = Timer()
        timer.start()
        made.append((signaller := Signaller(deliver, timer), timer))
        signaller.start()
        return signaller

    yield make
    for signaller, timer in made:
        signaller.close()
        timer.close()


def test_what_waits_during_a_delivery_goes_together(signallers):
    deliveries = Deliveries()
    signaller = signallers(deliveries)
    signaller.post("first", 15)
    wait_until(lambda: deliveries.lists)
    for number in range(MANY):
        signaller.post(number, 9)
    signaller.post("no more", 9, lambda: False)
    deliveries.free.set()
    wait_until(lambda: len(deliveries.lists) == 2)
    assert deliveries.lists == [[("first", 15)], [(number, 9) for number in range(MANY)]]


def test_what_could_not_be_sent_is_sent_again(signallers):
    deliveries = Deliveries(failures=1)
    deliveries.free.set()
    signallers(deliveries).post("job", 15)
    wait_until(lambda: len(deliveries.lists) == 2)
    assert deliveries.lists == [[("job", 15)]] * 2
