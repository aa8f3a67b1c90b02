"""Looking at running jobs: what is read, and above all what is not."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from jobd.contract.paths import locate
from jobd.core.progress.recognition import TOO_SLOW, Reading
from jobd.core.progress.user_pattern import TooSlowError
from jobd.daemon.execution import monitor as module
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.progress_reports import ProgressReports
from jobd.daemon.execution.run import Run
from jobd.outputs import files
from jobd.outputs.on_disk import DiskWorkspace
from jobd.system.write_watch import WriteWatch
from tests.core.progress.test_user_pattern import BAD_LINE, BLOWS_UP
from tests.helpers import wait_until

PAST = 1_000_000_000_000_000_000
"""Nanoseconds: a time at which no file of this test was written."""


class Watching:
    """A monitor of runs that are not there, whose files the test writes."""

    def __init__(self, home, monkeypatch):
        paths = locate({"JOBD_HOME": str(home)})
        paths.progress.mkdir(parents=True)
        self.paths = paths
        self.runs = {}
        self.reads = []
        self.workspace = DiskWorkspace(paths)
        engine = SimpleNamespace(workspace=self.workspace)
        runs = SimpleNamespace(all=self.all)
        self.monitor = Monitor({"local": engine}, runs, self.report, WriteWatch())
        self.reported = []
        monkeypatch.setattr(files, "read_tail", self.read_tail)

    def all(self):
        return list(self.runs.values())

    def report(self, run, reading):
        self.reported.append((run.id, reading.percent))

    def read_tail(self, file, size):
        self.reads.append(file.name)
        with open(file.path, "rb") as content:
            return content.read()[-size:]

    def run(self, job, rule="auto"):
        spec = SimpleNamespace(progress=rule, max_output=None)
        self.runs[job] = Run(SimpleNamespace(id=job, attempt=1, spec=spec, engine="local"), 1)
        return self.runs[job]

    def prints(self, job, text, at=PAST):
        """The whole output of a job, as written at that time."""
        self._write(self.paths.output_of(job, 1), text, at)

    def says(self, job, text, at=PAST):
        self._write(self.workspace.report_path(job, 1), text, at)

    def _write(self, path, text, at):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        if at is not None:
            os.utime(path, ns=(at, at))

    def look(self):
        self.monitor._look_at_all(self.all())


@pytest.fixture
def watching(jobd_home, monkeypatch):
    return Watching(jobd_home, monkeypatch)


def test_what_has_not_changed_is_not_read(watching):
    for job in (1, 2, 3):
        watching.run(job)
        watching.prints(job, "10%\n")
    for _ in range(5):
        watching.look()
    assert sorted(watching.reads) == ["1.1.log", "2.1.log", "3.1.log"]
    watching.prints(2, "11%\n", PAST + 1)
    watching.look()
    assert watching.reads[3:] == ["2.1.log"]
    assert watching.reported[3:] == [(2, 11)]


def test_a_file_that_has_just_changed_is_read_again(watching, monkeypatch):
    # However long the test takes: all of it is within one tick.
    monkeypatch.setattr(files, "time", SimpleNamespace(time_ns=lambda: 0))
    watching.run(1)
    watching.prints(1, "10%\n", at=None)
    watching.look()
    # In the same tick of the clock, and of the same size: nothing tells it from what was seen.
    stamp = os.stat(watching.paths.output_of(1, 1)).st_mtime_ns
    watching.prints(1, "20%\n", stamp)
    watching.look()
    assert watching.reported == [(1, 10), (1, 20)]


def test_what_could_not_be_saved_is_said_again_at_its_end(watching):
    full = SimpleNamespace(in_use=True)
    watching.monitor._report = ProgressReports(None, None, None, full).post
    run = watching.run(1)
    watching.prints(1, "90%\n")
    watching.look()
    full.in_use = False
    assert watching.monitor.last_look(run).percent == 90


class Broken:
    """A workspace of an engine that has a defect."""

    def __init__(self, workspace):
        self._workspace = workspace
        self.asked = 0

    def __getattr__(self, name):
        return getattr(self._workspace, name)

    @property
    def reports(self):
        self.asked += 1
        raise RuntimeError("a defect")


def test_an_engine_that_breaks_down_is_looked_at_all_the_same(watching, monkeypatch, caplog):
    monkeypatch.setattr(module, "_EVERY", 0.01)
    broken = Broken(watching.workspace)
    watching.monitor._engines["local"].workspace = broken
    run = watching.run(1)
    watching.monitor.start()
    watching.monitor.wake(run)
    wait_until(lambda: broken.asked)
    watching.prints(1, "90%\n")
    wait_until(lambda: watching.reported == [(1, 90)])
    watching.monitor.close()
    assert "engine local: what its jobs write cannot be watched" in caplog.text


def test_a_job_that_says_nothing_is_not_read(watching):
    watching.run(1)
    watching.look()
    assert watching.reads == []


def test_none_leaves_the_output_alone(watching):
    run = watching.run(1, "none")
    watching.prints(1, "10%\n")
    watching.look()
    assert watching.monitor.last_look(run) is None
    assert watching.reads == []
    watching.says(1, "40 by itself\n")
    watching.look()
    assert watching.reads == ["1.1"]
    assert watching.reported == [(1, 40)]


def test_once_a_job_has_spoken_its_output_does_not_count(watching):
    watching.run(1)
    watching.prints(1, "10%\n")
    watching.says(1, "40\n")
    watching.look()
    watching.prints(1, "50%\n", PAST + 1)
    watching.look()
    assert watching.reported == [(1, 40)]
    assert watching.reads == ["1.1"]


def test_whole_percents_are_enough(watching):
    run = watching.run(1)
    for number, text in enumerate(["steps 100/1000", "steps 101/1000", "steps 109/1000", "done"]):
        watching.prints(1, text, PAST + number)
        watching.look()
    assert watching.reported == [(1, 10)]
    watching.prints(1, "steps 110/1000", PAST + 9)
    assert watching.monitor.last_look(run) == Reading(11)


def test_who_reports_without_end_is_told_of_now_and_then(watching, monkeypatch):
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    run = watching.run(1)
    for number in range(2 * module._FREELY + 50):
        watching.prints(1, f"{number % 100}%", PAST + number)
        watching.look()
    assert len(watching.reported) == module._FREELY
    now = module._SPARSELY
    watching.look()
    assert watching.reported[module._FREELY :] == [(1, 49)], "the newest, though it was read before"
    watching.prints(1, "7%", PAST)
    watching.look()
    assert len(watching.reported) == module._FREELY + 1
    assert watching.monitor.last_look(run) == Reading(7)


def test_the_begin_is_read_where_it_tells_the_length(watching):
    watching.run(1)
    row = "size=  1kB time=00:00:01.00 bitrate= 1kbits/s speed=1x    \r"
    watching.prints(
        1, "  Duration: 00:01:40.00, start: 0.0\n" + row * 100 + row.replace("01.", "50.")
    )
    watching.look()
    assert watching.reported == [(1, 50)]


def test_a_rule_that_takes_too_long_is_given_up(watching, caplog):
    run = watching.run(1, BLOWS_UP)
    for number, text in enumerate(["x0\n", f"{BAD_LINE}\n", "0\n", f"{BAD_LINE} again\n"]):
        watching.prints(1, text, PAST + number)
        watching.look()
    assert watching.reads == ["1.1.log"] * 2
    assert watching.reported == [(1, 0), (1, 0)]
    assert run.reading == Reading(0, TOO_SLOW)
    assert watching.monitor.last_look(run) is None
    assert caplog.text.count("takes too long") == 1


def test_what_a_job_says_itself_counts_after_that(watching):
    run = watching.run(1, BLOWS_UP)
    watching.prints(1, BAD_LINE)
    watching.look()
    assert run.reading == Reading(None, TOO_SLOW)
    watching.says(1, "40\n")
    watching.look()
    assert watching.reported == [(1, None), (1, 40)]
    assert run.reading == Reading(40)


def test_a_rule_that_is_given_up_at_the_end_is_told_with_the_end(watching):
    run = watching.run(1, BLOWS_UP)
    watching.prints(1, BAD_LINE)
    assert watching.monitor.last_look(run) == Reading(None, TOO_SLOW)
    assert watching.monitor.last_look(run) is None


def test_what_an_earlier_daemon_has_given_up_is_not_tried_again(watching):
    watching.run(1, BLOWS_UP).reading = Reading(None, TOO_SLOW)
    watching.prints(1, BAD_LINE)
    watching.look()
    assert watching.reads == watching.reported == []


def test_one_slow_rule_a_round(watching):
    for job, rule in enumerate([BLOWS_UP, BLOWS_UP, "at ([0-9]+)", "auto"], start=1):
        watching.run(job, rule)
        watching.prints(job, f"at 40%\n{BAD_LINE}" if job < 3 else "at 40\n40%")
    watching.look()
    assert watching.reported == [(1, None), (4, 40)]
    watching.look()
    assert watching.reported[2:] == [(2, None)]
    watching.look()
    assert watching.reported[3:] == [(3, 40)]


def test_a_rule_whose_time_went_to_other_threads_gets_another_chance(watching, monkeypatch):
    read, busy = module.from_output, [True, False, True]

    def from_output(*args):
        if busy.pop(0):
            raise TooSlowError
        return read(*args)

    monkeypatch.setattr(module, "from_output", from_output)
    run = watching.run(1, "at ([0-9]+)")
    watching.prints(1, "at 40\n")
    watching.look()
    assert watching.reported == []
    watching.look()
    assert watching.reported == [(1, 40)]
    watching.prints(1, "at 50\n", PAST + 1)
    assert watching.monitor.last_look(run) is None
    assert run.reading == Reading(40), "it is not told to be slow"


def test_chances_come_to_an_end(watching, monkeypatch):
    now, looks = 0.0, []

    def from_output(*args):
        nonlocal now
        now += module.PATIENCE / 10
        looks.append(now)
        raise TooSlowError

    monkeypatch.setattr(module, "from_output", from_output)
    monkeypatch.setattr(module.time, "thread_time", lambda: now)
    watching.run(1, "at ([0-9]+)")
    watching.prints(1, "at 40\n")
    for _ in range(20):
        watching.look()
    assert len(looks) <= 6
    assert watching.reported == [(1, None)]


def test_a_rule_that_is_no_longer_taken_is_none(watching, caplog):
    watching.run(1, "(")
    watching.prints(1, "40%\n")
    watching.look()
    assert watching.reported == []
    assert "job 1: --progress: not a regular expression" in caplog.text


def test_the_round_and_the_last_look_have_one_sight(watching, monkeypatch):
    """Where both begin at once: by its lock the same progress is told once."""
    run, both, make = watching.run(1), threading.Barrier(2), module._rule_of
    monkeypatch.setattr(module, "_rule_of", lambda run: (both.wait(20), make(run))[1])
    with ThreadPoolExecutor(2) as threads:
        one, other = [threads.submit(watching.monitor._sight_of, run) for _ in range(2)]
        assert one.result() is other.result()


def test_nothing_of_a_run_is_kept(watching):
    watching.run(1)
    watching.prints(1, "10%\n")
    watching.look()
    assert len(watching.monitor._sights) == 1
    watching.runs.clear()
    assert len(watching.monitor._sights) == 0
