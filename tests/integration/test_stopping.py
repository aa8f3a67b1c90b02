"""Hundreds of jobs that are told to stop at once."""

import signal

from jobctl import follow
from jobd import kernel
from jobd.contract.models import Selector, State
from tests.helpers import processes_with, wait_until

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
    fine = kernel.processes
    monkeypatch.setattr(kernel, "processes", lambda: scans.append(None) or fine())
    chosen = Selector(ids=[(first, first + JOBS - 1)])
    assert len(daemon.client.stop(chosen, grace=0.3).done) == JOBS
    waited = follow.until_finished(daemon.client, chosen, timeout=60)
    assert waited.counts[State.STOPPED] == JOBS
    assert {job.signal for job in waited.jobs} == {signal.SIGKILL.name.removeprefix("SIG")}
    assert len(scans) < JOBS
    tokens = [row[0] for row in daemon.sql("SELECT token FROM attempts")]
    assert [token for token in tokens if processes_with(f"JOBD_RUN={token}")] == []
