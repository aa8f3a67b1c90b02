"""What much costs: long queues, large outputs, and no work at all."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.instance import json_of
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e
IDLE = 3.0
"""Seconds for which an idle daemon is watched."""


def rss_mb(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def switches(*pids):
    """How often any thread of these processes has been put to sleep or pushed aside."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            # One that has just ended has been awake.
            with suppress(FileNotFoundError, ProcessLookupError):
                lines = (task / "status").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return total


def rest(seconds, *pids):
    """Whether these processes did nothing at all for so long."""
    before = switches(*pids)
    time.sleep(seconds)  # there is nothing to wait for: that nothing happens is the point
    return switches(*pids) == before


def test_an_idle_daemon_does_nothing(running):
    running.submit("echo 40%; sleep 0.7", "true", "true")
    running.wait(1, 3)
    running.jobctl("workers", "0")
    running.submit("true")
    waiting = running.begin("jobctl", "wait", "4")
    wait_until(lambda: running.connections() >= 1, 30)
    found = running.status()
    pids = found.pid, found.supervisor_pid
    # Whoever waits may still be on his way in, and asks again every 20 s; between such moments
    # nothing happens at all.
    wait_until(lambda: rest(IDLE, *pids), 60, "it never comes to rest")
    assert rss_mb(found.pid) < 60
    waiting.kill()


def test_ten_thousand_lines_at_once(instance):
    instance.start("--workers", "0")
    lines = b"\n".join([b"true"] * 10_000)
    assert instance.jobctl("submit", "--file", "-", input=lines).stdout == "1-10000\n"
    assert instance.status().jobs["pending"] == 10_000
    listed = json_of(instance.jobctl("ls", "-n", "20", "--json"))
    assert [job["id"] for job in listed] == list(range(1, 21))
    # Whoever reads only the beginning is no error.
    piped = subprocess.run(
        ["bash", "-c", "jobctl ls | head -1; echo ${PIPESTATUS[*]}"],
        env=instance.env, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    head, codes = piped.stdout.splitlines()
    assert head.split()[0] in ("ID", "id")
    assert (codes, piped.stderr) == ("0 0", "")
    assert instance.jobctl("stop", "--state", "pending").stdout.count("\n") == 10_000
    assert instance.status().jobs["stopped"] == 10_000
    assert rss_mb(instance.status().pid) < 80


def test_a_large_output_costs_the_daemon_nothing(running):
    pid = running.status().pid
    running.submit("true")
    running.wait(1)
    before = rss_mb(pid)
    job = running.submit("yes 0123456789 | head -c 200000000; printf '\\n1\\n2\\n3\\n4\\nlast'")
    assert running.wait(job)[job].state == "completed"
    assert rss_mb(pid) < before + 10
    assert running.output(job, "-n", "5") == b"1\n2\n3\n4\nlast"
    assert Path(running.job(job).output_path).stat().st_size == 200_000_013
