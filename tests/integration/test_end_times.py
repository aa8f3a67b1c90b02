"""`finished_at` is when a job ended, however long it takes until that is saved."""

import os
import threading
import time
from contextlib import contextmanager

from jobd.contract.models import Command, Options, Submit
from jobd.contract.states import State
from jobd.system import linux
from jobd.system.clock import boot_us
from tests.helpers import wait_until
from tests.integration.inside import ENVIRONMENT, Inside, ids

LATE_S = 1.0
"""So long nothing can be saved."""


@contextmanager
def nothing_is_saved(daemon):
    """As while a disk does not answer: the writer's thread is in a system call."""
    stands, goes_on = threading.Event(), threading.Event()
    daemon.daemon.built.ground.writer.post(lambda: (stands.set(), goes_on.wait(60)))
    assert stands.wait(60)
    try:
        yield
    finally:
        goes_on.set()


def has_ended(pid):
    return (stat := linux.stat_of(pid)) is None or stat.state in "ZX"


def ends_while_nothing_is_saved(daemon, job, go):
    """When it has ended, for sure; its end is saved a second later."""
    pid = wait_until(lambda: daemon.job(job).pid, 30)
    with nothing_is_saved(daemon):
        go.touch()
        wait_until(lambda: has_ended(pid), 30)
        ended = time.time()
        wait_until(lambda: time.time() > ended + LATE_S, 30)
    return ended


def test_an_end_that_is_saved_late_was_no_later(make, tmp_path):
    daemon, go = make(), tmp_path / "go"
    job = daemon.submit(f"while ! test -e {go}; do sleep 0.02; done; exit 3")
    ended = ends_while_nothing_is_saved(daemon, job, go)
    daemon.wait(job)
    found = daemon.client.show(job)
    assert found.job.finished_at.timestamp() < ended + LATE_S / 2
    assert found.attempts[0].finished_at == found.job.finished_at
    assert found.job.run_s < (ended - found.job.started_at.timestamp()) + LATE_S / 2


def test_an_attempt_that_is_followed_by_another_ended_when_it_did(make, tmp_path):
    daemon, go = make(), tmp_path / "go"
    line = f"test $JOBD_ATTEMPT = 2 && exit 0; while ! test -e {go}; do sleep 0.02; done; exit 3"
    job = daemon.client.submit(
        Submit(
            commands=[Command(argv=[line.encode()], shell=True)],
            options=Options(retries=1, retry_delay=0), cwd=b"/", environment=ENVIRONMENT,
        )
    ).first  # fmt: skip
    ended = ends_while_nothing_is_saved(daemon, job, go)
    daemon.wait(job)
    first, second = daemon.client.show(job).attempts
    assert first.finished_at.timestamp() < ended + LATE_S / 2
    assert second.started_at.timestamp() > ended + LATE_S / 2


def test_an_end_that_was_seen_and_not_saved_is_known_to_be_so(make, tmp_path):
    daemon, go = make(), tmp_path / "go"
    job = daemon.submit(f"while ! test -e {go}; do sleep 0.02; done; exit 3")
    runs = daemon.daemon.built.execution.runs
    token = wait_until(lambda: runs.get(job)).started.token
    assert runs.unsaved() == {}
    pid = wait_until(lambda: daemon.job(job).pid, 30)
    with nothing_is_saved(daemon):
        go.touch()
        wait_until(lambda: has_ended(pid), 30)
        unsaved = wait_until(runs.unsaved, 30)
        assert unsaved.keys() == {token}
        assert abs(unsaved[token] - boot_us()) < 20_000_000
    daemon.wait(job)
    assert runs.unsaved() == {}


def test_the_next_daemon_goes_by_when_the_one_before_saw_the_end(make, jobd_home, tmp_path):
    """Its supervisor was killed, or it was restarted, while nothing could be saved."""
    daemon, go = make(), tmp_path / "go"
    job = daemon.submit(f"while ! test -e {go}; do sleep 0.02; done; exit 3")
    pid = wait_until(lambda: daemon.job(job).pid, 30)
    token = daemon.daemon.built.execution.runs[job].started.token
    daemon.daemon.close(clean=False)
    daemon.abandon()
    go.touch()
    wait_until(lambda: has_ended(pid), 30)
    ended, seen = time.time(), boot_us()
    wait_until(lambda: time.time() > ended + LATE_S, 30)
    heir = Inside(jobd_home, unsaved={token: seen})
    try:
        heir.wait(job)
        assert abs(heir.job(job).finished_at.timestamp() - ended) < LATE_S / 2
    finally:
        heir.close()
        os.waitpid(pid, 0)


def test_a_job_whose_leader_has_ended_is_over_since_then(make, tmp_path):
    """What is left of a stopped job is waited for; it ended when its leader did."""
    daemon, up = make(), tmp_path / "up"
    left = f"setsid sh -c \"trap '' TERM; echo >{up}; while :; do sleep 100; done\""
    job = daemon.submit(f"{left} & trap 'exit 0' TERM; wait")
    wait_until(up.exists, 30)
    pid = daemon.job(job).pid
    daemon.client.stop(ids(job), grace=LATE_S)
    wait_until(lambda: has_ended(pid), 30)
    ended = time.time()
    assert daemon.job(job).state is State.RUNNING
    daemon.wait(job)
    assert daemon.job(job).finished_at.timestamp() < ended + LATE_S / 2
