"""The daemon is killed at each named point of a job's life: nothing is lost, nothing runs twice."""

from itertools import groupby

import pytest

from jobd.client import follow
from jobd.contract.models import Acted, Events, List, Rm, Selector, Stop
from jobd.contract.states import State
from jobd.system import failpoints
from tests.helpers import processes_with, wait_until, whole_table

pytestmark = pytest.mark.e2e

JOBS = 5
LINE = "echo $JOBD_JOB_ID $JOBD_ATTEMPT >>ran; exit $((JOBD_JOB_ID % 3))"
STARTING = 4
"""Commits of the daemon's own start."""
PLACES = {
    "before-commit": (1, STARTING + 2, STARTING + 5),
    "after-commit": (2, STARTING + 2, STARTING + 5),
    "before-spawn": (1, 3),
    "after-spawn": (1, 3),
    "after-run-table": (1, 3),
    "before-finish": (1, 2),
    "before-reap": (1, 2),
    "after-reap": (1, 2),
    # The first reply is the one to `jobd start` itself.
    "before-reply": (1, 2, 4),
    "after-reply": (1, 2, 4),
    "recovering": (1,),
}
SPAWNING = ("before-spawn", "after-spawn", "after-run-table")
"""Points of an engine that starts its jobs itself. Those of Slurm: test_slurm.py."""

ITS_OWN = "it is a point of the local engine"


def whole(cases, always):
    """As `whole_table`; the first word of a case is its point."""
    mark = pytest.mark.local(ITS_OWN)
    return [
        pytest.param(*case.values, marks=[*case.marks, mark])
        if str(case.values[0]).startswith(SPAWNING)
        else case
        for case in whole_table(cases, always)
    ]


def was_killed(instance):
    """Whether somebody came to the point."""
    return not (instance.work / "fuse").exists()


def test_every_point_has_its_test():
    assert set(PLACES) <= set(failpoints.POINTS["daemon"])


@pytest.mark.parametrize(
    ("point", "count"),
    whole(
        [(point, count) for point in PLACES for count in PLACES[point]],
        always=[(point, counts[-1]) for point, counts in PLACES.items()],
    ),
)
def test_nothing_is_lost_and_nothing_runs_twice(instance, point, count):
    instance.start(crash=f"{point}:{count}")
    client = instance.client()
    ids = [instance.submit(LINE, client=client) for _ in range(JOBS)]
    jobs = instance.wait(ids[0], ids[-1])
    assert ids == sorted(set(ids))
    assert sorted(jobs) == ids
    # "<id> <attempt>": a crash between the claim and the spawn does not count as an attempt.
    assert sorted(instance.lines("ran")) == sorted(f"{job} 1" for job in ids)
    assert {job: found.exit_code for job, found in jobs.items()} == {job: job % 3 for job in ids}
    assert all(found.cpu_s is not None for found in jobs.values())
    # They are smaller than the daemon, and the kernel tells no less for them than that had.
    assert {found.max_rss_kb for found in jobs.values()} == {None}
    for job in ids:
        assert [a.exit_code for a in instance.attempts(job)] == [job % 3]
    assert was_killed(instance)
    events = [e.event for e in client.events(Events(after=0)).events if e.job == ids[0]]
    assert events.count("submitted") == events.count("completed" if ids[0] % 3 == 0 else "failed")
    found = instance.answers()
    assert sum(found.jobs.values()) == JOBS
    assert found.busy == 0
    assert instance.processes().keys() == {found.pid, found.supervisor_pid}
    assert instance.submit("true", client=client) > ids[-1]


@pytest.mark.parametrize(
    ("point", "count"),
    whole_table(
        [(point, count) for point in ("before-reply", "after-reply") for count in range(2, 7)],
        always=[("before-reply", 3), ("before-reply", 6), ("after-reply", 3), ("after-reply", 5)],
    ),
)
def test_a_change_that_is_asked_for_again_is_made_once(instance, point, count):
    """Stop, restart and rm; each crash hits another request, or the wait between two of them."""
    instance.start(crash=f"{point}:{count}")
    client = instance.client()
    line = "echo $JOBD_JOB_ID $JOBD_ATTEMPT $JOBD_RUN >>ran; [ $JOBD_ATTEMPT = 2 ] || sleep 100"
    job = instance.submit(line, client=client)
    other = instance.submit("true", client=client)
    chosen = Selector(ids=[(job, job)])
    instance.await_lines("ran", 1)
    assert _done(client, Stop(selector=chosen)) == [job]
    assert follow.until_finished(client, chosen, timeout=60).jobs[0].state is State.STOPPED
    acted = client.restart(chosen)
    assert (acted.done, acted.attempts, acted.errors) == ([job], {job: 2}, [])
    assert follow.until_finished(client, chosen, timeout=60).jobs[0].state is State.COMPLETED
    follow.until_finished(client, Selector(ids=[(other, other)]), timeout=60)
    tokens = [line.split()[2] for line in instance.lines("ran")]
    assert [line.split()[:2] for line in instance.lines("ran")] == [
        [f"{job}", "1"],
        [f"{job}", "2"],
    ]
    assert [processes_with(f"JOBD_RUN={token}") for token in tokens] == [{}, {}]
    events = [event.event for event in client.show(job).events]
    # A start that a crash made undone is told, too.
    told = [event for event, _ in groupby(e for e in events if e != "retrying")]
    assert told == ["submitted", "started", "stopped", "restarted", "started", "completed"]
    assert _done(client, Rm(selector=Selector(ids=[(job, other)]))) == [job, other]
    assert client.list(List()).jobs == []
    assert was_killed(instance)


def _done(client, request):
    acted = client.request(request, Acted)
    assert acted.errors == []
    return acted.done


@pytest.mark.parametrize(
    "point", [f"after-commit:{STARTING + 2}", "before-finish", "before-reap", "after-reap"]
)
def test_a_stop_outlasts_a_crash(instance, point):
    """The order is on disk; whichever daemon sees the end, the job was stopped."""
    instance.start(crash=point)
    client = instance.client()
    job = instance.submit("trap '' TERM; echo >>ran; while :; do sleep 100; done", client=client)
    instance.await_lines("ran", 1)
    chosen = Selector(ids=[(job, job)])
    client.stop(chosen, grace=0.2)
    (found,) = follow.until_finished(client, chosen, timeout=60).jobs
    assert (found.state, found.reason, found.signal) == (State.STOPPED, "by user", "KILL")
    assert len(instance.lines("ran")) == 1


def test_a_batch_that_was_never_finished_leaves_no_trace(instance):
    """1,200 jobs are written in pieces; the client that asks again gets one whole batch."""
    instance.start("--workers", "0", crash=f"after-commit:{STARTING + 3}")
    lines = b"\n".join([b"true"] * 1200)
    first, last = map(int, instance.jobctl("submit", "--file", "-", input=lines).stdout.split("-"))
    assert last - first == 1199
    assert was_killed(instance)
    assert instance.status().jobs["pending"] == 1200
    assert instance.jobctl("ls", "--ids").stdout.split() == [
        str(job) for job in range(first, last + 1)
    ]


def test_a_crash_while_recovering_loses_no_job(running):
    """Both parents are dead, and so is the daemon that first looks after what they left."""
    gate = running.gate()
    line = f"echo $JOBD_JOB_ID >>ran; read _ <{gate.path}; echo whole; exit 3"
    first = running.submit(line, line)
    running.await_lines("ran", 2)
    old = running.status()
    running.halt(old.pid)
    running.kill(old.supervisor_pid)
    running.kill(old.pid)
    running.start(crash="recovering")
    gate.open(2)
    for job in running.wait(first, first + 1).values():
        assert job.reason in ("exit code 3", "lost")
        assert job.attempt == 1
        assert running.output(job.id) == b"whole\n"
    assert sorted(running.lines("ran")) == [str(first), str(first + 1)]


MANY = 120
SHORT = "echo $JOBD_JOB_ID $JOBD_ATTEMPT >>ran; exit $((JOBD_JOB_ID % 200))"


@pytest.mark.parametrize(
    "point",
    whole(
        [
            f"after-commit:{STARTING + 12}",
            "before-spawn:40",
            "after-spawn:7",
            "after-spawn:40",
            "after-run-table:40",
            "before-finish:40",
            "before-reap:3",
            "before-reap:40",
            "after-reap:40",
        ],
        always=["after-spawn:40", "before-finish:40", "before-reap:3", "after-reap:40"],
    ),
)
def test_an_end_is_never_taken_for_that_of_another(instance, point):
    """Eight at a time that end at once: zombies of several attempts are there when it is killed.

    Each has an exit code of its own, so one that is taken for another would be seen.
    """
    instance.start("--workers", "8", crash=point)
    client = instance.client()
    first = instance.submit(*[SHORT] * MANY, client=client)
    jobs = instance.wait(first, first + MANY - 1)
    assert sorted(instance.lines("ran")) == sorted(f"{job} 1" for job in jobs)
    assert {job: found.exit_code for job, found in jobs.items()} == {job: job % 200 for job in jobs}
    assert all(found.attempt == 1 and found.cpu_s is not None for found in jobs.values())
    assert len(jobs) == MANY
    assert was_killed(instance)
    found = instance.answers()
    assert found.busy == 0
    assert instance.processes().keys() == {found.pid, found.supervisor_pid}


@pytest.mark.local(ITS_OWN)
def test_a_job_that_drops_its_environment_at_once_is_not_started_twice(instance):
    """Its pid is not in the run table yet, and it bears no token any more."""
    gate = instance.gate()
    instance.start(crash="after-spawn")
    line = f"exec env -i sh -c 'echo $$ >>ran; read _ <{gate.path}; exit 3'"
    job = instance.submit(line)
    instance.await_lines("ran", 1)
    wait_until(lambda: was_killed(instance))
    assert instance.answers().jobs["running"] == 1
    gate.open(2)
    found = instance.wait(job)[job]
    assert (found.exit_code, found.attempt, len(instance.lines("ran"))) == (3, 1, 1)


@pytest.mark.local(ITS_OWN)
def test_orphans_of_another_job_are_not_taken_for_one_that_never_started(instance):
    """They lead sessions, end all the time, and nobody reaps them while no daemon lives."""
    instance.start(crash="before-spawn:2")
    client = instance.client()
    noisy = "echo >>noisy; while [ ! -e quiet ]; do setsid -f sh -c 'exit 7'; sleep 0.02; done"
    other = instance.submit(noisy, client=client)
    instance.await_lines("noisy", 1)
    job = instance.submit("echo >>ran; exit 3", client=client)
    found = instance.wait(job)[job]
    assert (found.exit_code, found.attempt, len(instance.lines("ran"))) == (3, 1, 1)
    assert was_killed(instance)
    (instance.work / "quiet").touch()
    assert instance.wait(other)[other].state is State.COMPLETED
