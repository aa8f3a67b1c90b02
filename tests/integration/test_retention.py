"""What is kept stays within its limits; what has not finished or is waited for is not touched."""

import threading
import time

import pytest

from jobd.contract.models import Events, Selector, Wait
from jobd.contract.states import State
from jobd.daemon.retention_steps import OldJobs
from jobd.system.clock import now_us
from tests.helpers import wait_until
from tests.integration.inside import ids

UNFINISHED = Selector(states=[State.PENDING, State.RUNNING])


@pytest.fixture
def soon(monkeypatch):
    """What is looked at in a while is looked at soon."""
    monkeypatch.setattr("jobd.daemon.retention._SOON_US", 10_000)


def ends(daemon, *lines):
    """Submit these shell lines, one after the other, each when the one before has ended."""
    found = []
    for line in lines:
        found.append(daemon.submit(line))
        daemon.wait(found[-1])
    return found


def left(daemon, *jobs):
    """Wait until these are all that the store and the output directory hold."""
    wait_until(
        lambda: sorted(daemon.listed()) == sorted(jobs), message=lambda: f"{daemon.listed()}"
    )
    wait_until(lambda: not daemon.sql("SELECT 1 FROM deletions"))
    return sorted(int(file.name.split(".")[0]) for file in daemon.paths.output.rglob("*.log"))


def events(daemon, after=0):
    return daemon.client.events(Events(after=after, selector=Selector(all=True))).events


def test_the_number_of_jobs(make):
    daemon = make(retention={"max_jobs": 3})
    ends(daemon, *["echo x"] * 6)
    assert left(daemon, 4, 5, 6) == [4, 5, 6]
    gone = [e for e in events(daemon) if e.event == "removed"]
    assert [(e.job, e.user, e.data) for e in gone] == [
        (job, "", {"reason": "retention"}) for job in (1, 2, 3)
    ]
    assert daemon.counts_on_disk() == daemon.client.status().jobs


def test_ends_within_the_limits_cost_no_look(make, monkeypatch):
    """Four looks a second once took a fifth of the speed at which jobs start."""
    looks = []
    slices = OldJobs.slice
    monkeypatch.setattr(OldJobs, "slice", lambda self: looks.append(1) or slices(self))
    monkeypatch.setattr("jobd.daemon.retention._PAUSE_S", 0.001)
    daemon = make(retention={"max_age": "30d", "max_jobs": 1000, "max_output": "1GiB"})
    wait_until(lambda: looks)
    ends(daemon, *["true"] * 30)
    assert len(looks) < 5


@pytest.mark.usefixtures("soon")
def test_the_bytes_of_output(make):
    daemon = make(retention={"max_output": 2500})
    ends(daemon, *["head -c 1000 /dev/zero"] * 5)
    assert left(daemon, 4, 5) == [4, 5]


@pytest.mark.usefixtures("soon")
def test_the_bytes_of_all_attempts_count(make):
    daemon = make(retention={"max_output": 2500})
    ends(daemon, "head -c 1000 /dev/zero")
    for _ in range(2):
        daemon.client.restart(ids(1))
        daemon.wait(1)
    ends(daemon, "true")
    assert left(daemon, 2) == [2]


def test_the_age(make):
    daemon = make(retention={"max_age": "1s", "failed": {"max_age": 0}})
    begun = time.monotonic()
    ends(daemon, "true", "false")
    assert 1 in daemon.listed() or time.monotonic() - begun > 0.9
    assert left(daemon, 2) == [2]
    assert time.monotonic() - begun > 0.9


def test_one_after_the_other_is_too_old_though_nothing_else_happens(make):
    daemon = make(retention={"max_age": "1s"})
    first = daemon.submit("true")
    daemon.wait(first)
    done = daemon.job(first).finished_at
    second = daemon.submit("exec sleep 0.4")
    daemon.wait(second)
    assert (daemon.job(second).finished_at - done).total_seconds() > 0.3
    assert left(daemon) == []


def test_what_somebody_waited_for_goes_when_nobody_does_any_more(make):
    """And those that are newer need not wait for it."""
    daemon = make(workers=0, retention={"max_jobs": 5})
    running = daemon.submit("exec sleep 1000")
    done = [daemon.submit("true") for _ in range(40)]
    waiting = threading.Event()
    client = daemon.connect()

    def wait():
        waiting.set()
        client.wait(Wait(selector=Selector(ids=[(running, done[-1])]), wait=20.0))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(10)
    wait_until(lambda: daemon.daemon.built.ground.notifier.awaited(done[-1]))
    daemon.client.workers(3)
    daemon.wait(*[daemon.submit("true") for _ in range(20)])
    left_over = lambda: [job for job in daemon.listed() if job > done[-1]]  # noqa: E731
    wait_until(lambda: len(left_over()) <= 5)
    daemon.client.stop(ids(running))
    thread.join()
    wait_until(lambda: len(daemon.listed()) <= 5)


def test_each_state_by_itself(make):
    daemon = make(retention={"max_jobs": 1, "failed": {"max_jobs": 2}})
    ends(daemon, "false", "true", "false", "false", "true")
    assert left(daemon, 3, 4, 5) == [3, 4, 5]


def test_what_has_not_finished_is_not_touched(make):
    daemon = make(workers=1, retention={"max_jobs": 1, "max_age": "0.1s"})
    running = daemon.submit("sleep 60")
    waiting = [daemon.submit("true") for _ in range(3)]
    stopped = daemon.submit("true")
    daemon.client.stop(ids(stopped))
    assert left(daemon, running, *waiting) == [running]
    daemon.client.stop(ids(running))
    assert left(daemon) == []


def test_what_a_pending_job_waits_for_is_not_touched(make):
    daemon = make(retention={"max_jobs": 1})
    daemon.client.workers(0)
    parent, child = daemon.submit("true"), daemon.submit("true")
    daemon.client.stop(ids(parent))
    daemon.sql("INSERT INTO dependencies VALUES (?, ?, 0, 0)", child, parent)
    others = [daemon.submit("true") for _ in range(3)]
    for job in others:
        daemon.client.stop(ids(job))
    # One too many, but for the one that is waited for.
    left(daemon, parent, child)
    daemon.sql("DELETE FROM dependencies")
    last = daemon.submit("true")
    daemon.client.stop(ids(last))
    left(daemon, child, last)


def test_what_somebody_waits_for_is_not_touched(make):
    daemon = make(retention={"max_jobs": 1})
    with daemon.daemon.built.ground.notifier.awaiting([1, 99].__contains__):
        ends(daemon, "true", "true", "true")
        left(daemon, 1)
    ends(daemon, "true")
    left(daemon, 4)


def test_limits_that_come_later_hold_for_what_is_there(make):
    daemon = make()
    last = daemon.client.submit(daemon.many("true", 100)).last
    daemon.wait(last)
    daemon.client.stop(Selector(all=True))
    wait_until(lambda: not daemon.listed(selector=UNFINISHED))
    newest = daemon.newest(10)
    daemon = make(retention={"max_jobs": 10})
    left(daemon, *newest)


def test_a_job_that_runs_again_counts_no_longer(make):
    daemon = make(retention={"max_jobs": 2})
    ends(daemon, "true", "true")
    daemon.client.workers(0)
    daemon.client.restart(ids(1))
    daemon.client.rm(ids(2))
    stopped = [daemon.submit("true") for _ in range(2)]
    for job in stopped:
        daemon.client.stop(ids(job))
    left(daemon, 1, *stopped)
    daemon.client.start(ids(stopped[0]))
    daemon.client.workers(3)
    daemon.wait(1, stopped[0])
    assert len(wait_until(lambda: len(found := daemon.listed()) == 2 and found)) == 2


def test_the_history_is_shortened_from_its_old_end(make):
    daemon = make(workers=0, retention={"max_events": 100})
    daemon.client.submit(daemon.many("true", 2000))
    found = wait_until(lambda: len(e := daemon.sql("SELECT seq FROM events")) == 100 and e)
    last = daemon.daemon.built.ground.notifier.last_event
    assert [seq for (seq,) in found] == list(range(last - 99, last + 1))
    assert events(daemon)[0].seq == last - 99
    assert daemon.client.events(Events(after=0, selector=Selector(all=True))).first == last - 99


@pytest.mark.usefixtures("soon")
def test_a_history_that_is_a_little_too_long_is_shortened_soon(make):
    """`max_events = 4` once left up to 515 of them."""
    daemon = make(workers=1, retention={"max_events": 4})
    for _ in range(3):
        daemon.wait(daemon.submit("true"))
        wait_until(lambda: len(daemon.sql("SELECT seq FROM events")) == 4)
    last = daemon.daemon.built.ground.notifier.last_event
    assert [event.seq for event in events(daemon)] == list(range(last - 3, last + 1))


@pytest.mark.parametrize("limits", [{}, {"max_events": 0}])
def test_a_history_within_its_limit_stays_whole(make, limits):
    daemon = make(workers=0, retention=limits)
    daemon.client.submit(daemon.many("true", 2000))
    daemon.client.rm(ids(1))
    assert daemon.daemon.built.ground.reader.first_event() == 1


def test_the_database_becomes_small_again(make):
    daemon = make(workers=0, retention={"max_events": 1000})
    size = daemon.paths.database.stat
    for _ in range(3):
        daemon.client.submit(daemon.many("true " + "x" * 1000, 5000))
    daemon.client.stop(Selector(all=True))
    grown = wait_until(lambda: (n := size().st_size) > 15_000_000 and n, 30)
    daemon.client.rm(Selector(all=True))
    wait_until(lambda: size().st_size < grown / 2, 30, lambda: f"{size().st_size} of {grown}")
    assert daemon.sql("PRAGMA integrity_check") == [("ok",)]


def test_empty_folders_go_with_their_last_job(make):
    daemon = make()
    ends(daemon, "true")
    assert (daemon.paths.output / "0").is_dir()
    daemon.client.rm(ids(1))
    assert not (daemon.paths.output / "0").exists()
    ends(daemon, "echo again")
    assert daemon.output(2) == b"again\n"


def test_jobs_that_nobody_may_remove_yet_are_not_tried_without_a_pause(make):
    daemon = make(retention={"max_jobs": 1})
    pruner = daemon.daemon.built.pruner
    pruner.close()
    first = daemon.submit(*["true"] * 40)
    daemon.wait(*range(first, first + 40))
    old_jobs = pruner._jobs
    old_jobs._needed = lambda: 1
    assert not old_jobs.slice(), "the history is still to be read for somebody"
    assert len(daemon.listed()) == 40
    old_jobs._needed = lambda: None
    assert old_jobs.slice()
    assert not old_jobs.slice()
    assert len(daemon.listed()) == 1


def test_nor_are_they_when_they_are_too_old(make):
    daemon = make(retention={"max_age": "0.01s"})
    pruner = daemon.daemon.built.pruner
    pruner.close()
    first = daemon.submit(*["true", "false"] * 40)
    daemon.wait(*range(first, first + 80))
    ((last,),) = daemon.sql("SELECT MAX(finished_at) FROM jobs")
    wait_until(lambda: now_us() - last > 10_000)
    old_jobs = pruner._jobs
    old_jobs._needed = lambda: 1
    assert not old_jobs.slice()
    assert old_jobs.next_at() is None, "it is not by the clock that they may go"
