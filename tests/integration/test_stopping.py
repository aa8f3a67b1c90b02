"""Hundreds of jobs that are told to stop at once."""

import signal

from jobd.client import follow
from jobd.contract.models import Selector
from jobd.contract.states import State
from jobd.system import linux
from tests.helpers import processes_with, wait_until
from tests.integration.inside import ids

JOBS = 60
STUBBORN = """trap '' TERM
setsid sh -c "trap '' TERM; echo 1 >>{up}; while :; do sleep 100; done" &
while :; do sleep 100; done
"""


def test_a_scan_serves_many_jobs(make, tmp_path, monkeypatch):
    """Each job needs four by itself: for TERM, for KILL, to find the rest, and to see it gone."""
    daemon = make(workers=JOBS)
    up = tmp_path / "up"
    first = daemon.submit(*[STUBBORN.format(up=up)] * JOBS)
    wait_until(lambda: up.exists() and len(up.read_text()) == 2 * JOBS, 60)
    scans = []
    fine = linux.processes
    monkeypatch.setattr(linux, "processes", lambda: scans.append(None) or fine())
    chosen = Selector(ids=[(first, first + JOBS - 1)])
    assert len(daemon.client.stop(chosen, grace=0.3).done) == JOBS
    waited = follow.until_finished(daemon.client, chosen, timeout=60)
    assert waited.counts[State.STOPPED] == JOBS
    assert {job.signal for job in waited.jobs} == {signal.SIGKILL.name.removeprefix("SIG")}
    assert len(scans) < JOBS
    tokens = [row[0] for row in daemon.sql("SELECT token FROM attempts")]
    assert [token for token in tokens if processes_with(f"JOBD_RUN={token}")] == []


def test_shutting_down_lengthens_no_grace(make):
    """Whoever is told to end twice is killed at the earlier of both times."""
    daemon = make(workers=3, grace=1000.0)
    jobs = [daemon.submit("trap '' TERM; echo up; while :; do sleep 100; done") for _ in range(2)]
    wait_until(lambda: all(daemon.output(job) == b"up\n" for job in jobs), 30)
    daemon.client.stop(ids(jobs[0]), grace=0.5)
    order = daemon.daemon.built.execution.runs[jobs[0]].order
    daemon.daemon.built.execution.stop_orders.end_all()
    assert daemon.daemon.built.execution.runs[jobs[0]].order is order
    assert daemon.daemon.built.execution.runs[jobs[1]].order.reason == "shutdown"
    daemon.wait(jobs[0])
    assert daemon.job(jobs[0]).reason == "by user"
    assert not daemon.job(jobs[1]).state.finished
    daemon.client.stop(ids(jobs[1]), grace=0)
    daemon.wait(jobs[1])
    assert daemon.job(jobs[1]).signal == "KILL"
