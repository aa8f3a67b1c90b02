"""`jobctl logs -f` costs nothing while nothing is printed, however many follow."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from jobd.contract.models import Events
from tests.e2e.instance import PATIENCE
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e

FOLLOWERS = 10
SPAN_S = 1.0


def switches(pid):
    """By thread, how often it went to sleep by itself, and so was woken (proc_pid_status(5))."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            status = (task / "status").read_text()
        except OSError:
            continue  # it has ended
        fields = dict(line.split(":", 1) for line in status.splitlines())
        found[task.name] = int(fields["voluntary_ctxt_switches"])
    return found


def watches(pid, file):
    """How many watches inotify keeps for a file."""
    inode = f" ino:{os.stat(file).st_ino:x} "
    count = 0
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(OSError):  # it was closed just now
            lines = info.read_text().splitlines()
            count += sum(line.startswith("inotify ") and inode in line for line in lines)
    return count


def test_ten_followers_of_a_silent_job_cost_no_wake_ups(running):
    gate = running.gate()
    job = running.submit(f"echo begin; read _ <{gate.path}; echo end")
    output = running.paths.output_of(job, 1)
    wait_until(lambda: output.exists() and output.read_bytes() == b"begin\n", PATIENCE)
    pid = running.status().pid
    client = running.client()
    newest = client.events(Events(after=None)).next
    others = set(switches(pid))
    followers = [running.begin("jobctl", "logs", "-f", str(job)) for _ in range(FOLLOWERS)]
    for follower in followers:
        assert follower.stdout.readline() == b"begin\n"
    of_followers = set(switches(pid)) - others
    assert len(of_followers) >= FOLLOWERS

    def woken():
        before = switches(pid)
        # The daemon itself measures the time: nothing happens, so it answers at the end of it.
        assert client.events(Events(after=newest, wait=SPAN_S)).events == []
        after = switches(pid)
        return {
            task: after[task] - before[task] for task in of_followers if after[task] > before[task]
        }

    # Each follower asks again every twenty seconds: a span without that is soon found.
    wait_until(lambda: not woken(), PATIENCE, message=lambda: f"woken: {woken()}")
    assert watches(pid, output) == 1
    gate.open()
    assert [follower.communicate(timeout=PATIENCE)[0] for follower in followers] == [
        b"end\n"
    ] * FOLLOWERS
    assert {follower.returncode for follower in followers} == {0}
    wait_until(lambda: watches(pid, output) == 0, PATIENCE)
