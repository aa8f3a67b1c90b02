"""The daemon is killed at each point of a message's life: it comes once, or twice at most."""

import contextlib
import re
import sqlite3
from collections import Counter
from pathlib import Path
from threading import Event

import pytest

from jobd.contract.states import State
from jobd.system import linux
from tests.e2e.test_storage import cramped, fill, small, submit_until_refused  # noqa: F401
from tests.helpers import wait_until, whole_table

pytestmark = pytest.mark.e2e

JOBS = 5
HOOK = 'echo "$JOBD_JOB_ID $JOBD_NOTIFICATION" >>"{}/told"'
POINTS = ("message-read", "message-noted", "message-taken", "message-sent", "message-recorded")
COMMITS = range(6, 22, 3)
"""Of those that a few jobs and their messages take."""


def configure(instance, command, **settings):
    lines = [f"{key} = {value}" for key, value in settings.items()]
    text = "\n".join(["[[notify]]", f"command = '''{command}'''", *lines, ""])
    instance.configure(text)


def told(instance):
    """How often of which job, under which id."""
    return Counter(tuple(line.split()) for line in instance.lines("told"))


@pytest.mark.parametrize(
    ("point", "count"),
    whole_table(
        [
            *((point, count) for point in POINTS for count in (1, 2)),
            *(("before-commit", count) for count in COMMITS),
            *(("after-commit", count) for count in COMMITS),
        ],
        always=[*((point, 1) for point in POINTS), ("before-commit", 9), ("after-commit", 15)],
    ),
)
def test_each_end_is_told_once_or_twice(instance, point, count):
    configure(instance, HOOK.format(instance.work), retry_delay='"0.1s"')
    instance.start(crash=f"{point}:{count}")
    client = instance.client()
    jobs = [instance.submit("true", client=client) for _ in range(JOBS)]
    instance.wait(jobs[0], jobs[-1])
    wait_until(lambda: {int(job) for job, _ in told(instance)} >= set(jobs))
    settled(instance)
    assert not (instance.work / "fuse").exists()
    found = told(instance)
    assert sorted(int(job) for job, _ in found) == jobs
    assert max(found.values()) <= 2
    assert sum(found.values()) <= JOBS + 3
    answered = instance.answers()
    assert instance.processes().keys() == {answered.pid, answered.supervisor_pid}


def settled(instance):
    """Nothing is on its way any more."""

    def is_still():
        with contextlib.closing(sqlite3.connect(instance.paths.database)) as database:
            rows = database.execute("SELECT COUNT(*) FROM deliveries WHERE due IS NOT NULL")
            return rows.fetchone() == (0,)

    wait_until(is_still)


def test_a_hook_that_hangs_ends_in_its_time_although_its_daemon_was_killed(instance):
    """And what it has started with it; the supervisor lets it go, and waits for nobody."""
    configure(
        instance, f"echo $$ >>{instance.work}/hangs; sleep 1000 & wait", timeout='"1s"', retries=0
    )
    instance.start()
    instance.submit("true")
    instance.await_lines("hangs", 1)
    old = instance.status()
    instance.kill(old.pid)
    instance.answers_anew(old.pid)
    instance.await_lines("hangs", 2)
    pids = [int(pid) for pid in instance.lines("hangs")]
    wait_until(lambda: all(linux.stat_of(pid) is None for pid in pids))
    answered = instance.answers()
    wait_until(lambda: instance.processes().keys() == {answered.pid, answered.supervisor_pid})
    instance.jobd("stop")


def test_a_daemon_that_is_stopped_tells_of_the_last_end(instance):
    configure(instance, HOOK.format(instance.work))
    instance.start()
    job = instance.submit("sleep 0.2")
    instance.jobd("stop")
    assert [int(number) for number, _ in told(instance)] == [job]


def test_what_ends_while_the_disk_is_full_is_told_when_there_is_space(cramped):  # noqa: F811
    """Jobs go on meanwhile, as if nobody wanted to know."""
    configure(cramped, HOOK.format(cramped.work))
    cramped.start("--workers", "2")
    gate = cramped.gate()
    jobs = [cramped.id_of(f"read _ < {gate.path}; exit {code}") for code in (3, 4)]
    wait_until(lambda: all(cramped.job(job).state is State.RUNNING for job in jobs))
    ballast = fill(cramped.paths.state)
    submit_until_refused(cramped)
    gate.open(2)
    wait_until(lambda: all(cramped.job(job).state is State.FAILED for job in jobs))
    assert not told(cramped)
    ballast.unlink()
    wait_until(lambda: {int(job) for job, _ in told(cramped)} == set(jobs), 30)
    settled(cramped)
    assert set(told(cramped).values()) == {1}


def test_who_waits_for_nothing_sleeps(instance):
    """With a rule and nothing to do no thread wakes."""
    configure(instance, HOOK.format(instance.work))
    instance.start()
    instance.wait(instance.submit("true"))
    wait_until(lambda: told(instance))
    settled(instance)
    pid = instance.status().pid
    wait_until(lambda: wakes(pid) == wakes(pid, after=0.5))
    assert wakes(pid) == wakes(pid, after=3.0)


def wakes(pid, after=0.0):
    """How often threads of the process have gone to sleep so far."""
    Event().wait(after)
    statuses = Path(f"/proc/{pid}/task").glob("*/status")
    return sum(
        int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.MULTILINE)[1])
        for status in statuses
    )
