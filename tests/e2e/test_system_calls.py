"""What a job costs the daemon in calls into the kernel: they are counted by strace(1), not timed.

The numbers are ceilings, of calls a job. Each lets other threads run, and may wait for its turn
afterwards: whoever needs one more makes every job dearer. How often threads wake each other
(futex) depends on what else the machine does; it is not counted.
"""

import os
import shutil
import subprocess

import pytest

from tests.e2e.instance import PATIENCE
from tests.helpers import wait_until

JOBS = 200
CEILINGS = {
    "fdatasync": 1.1,  # a commit
    "pwrite64": 27,  # two a page of the log
    "newfstatat": 9,
    "openat": 1.5,
    "close": 1.5,
    "unlinkat": 1.2,
    "chdir": 2.1,
    "ftruncate": 1.1,
    "fcntl": 7,
    "waitid": 1.1,
    "wait4": 1.1,
    "getrandom": 0.1,
}
OTHERS = 13
"""All that has no line above."""
pytestmark = [
    pytest.mark.local("an engine's own calls come in addition"),
    pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed"),
]


def threads_of(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def is_traced(pid, thread):
    try:
        with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as status:
            return "TracerPid:\t0\n" not in status.read()
    except FileNotFoundError:
        return True  # that of a client that has left


def counted(pid, report, act):
    """Calls by name that the threads which the process has now make meanwhile; not its children."""
    threads = threads_of(pid)
    words = [word for thread in threads for word in ("-p", str(thread))]
    tracer = subprocess.Popen(["strace", "-q", "-c", "-o", str(report), *words])
    try:
        wait_until(lambda: all(is_traced(pid, thread) for thread in threads), PATIENCE)
        act()
    finally:
        tracer.terminate()
        tracer.wait(PATIENCE)
    lines = [line.split() for line in report.read_text().splitlines()]
    return {words[-1]: int(words[3]) for words in lines if len(words) > 4 and words[3].isdigit()}


def test_a_job_costs_the_daemon_no_more_calls(running, tmp_path):
    def run_many():
        first = running.submit(*["true"] * JOBS)
        running.wait(first, first + JOBS - 1)

    run_many()  # what is done once is done, and the threads are there
    found = counted(running.status().pid, tmp_path / "counts", run_many)
    found.pop("total")
    found.pop("futex")
    found.pop("restart_syscall", 0)  # a call that the tracer has interrupted goes on
    of_each = {name: found.pop(name, 0) / JOBS for name in CEILINGS}
    over = {name: n for name, n in of_each.items() if n > CEILINGS[name]}
    assert not over, of_each
    assert sum(found.values()) / JOBS <= OTHERS, found
    # It is the daemon at work that was looked at.
    assert of_each["waitid"] > 0.3
