"""What the processes of a job use, all of them together, while somebody looks."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobd.contract.models import Gpu
from jobd.core.usage import Usage
from jobd.engines.local import processes
from jobd.engines.local.engine import LocalEngine
from jobd.engines.local.gpus import Gpus
from jobd.engines.local.process_snapshot import Survey
from jobd.engines.local.processes import Child, usages
from jobd.system import linux, spawning
from jobd.system.process_usage import usage_of
from tests.engines.contexts import context_of
from tests.helpers import wait_until

BIG = "import os, signal; it = bytearray(64 << 20); os.write(1, b'held\\n'); signal.pause()"
"""Holds 64 MB for as long as it lives."""


@pytest.fixture
def started():
    """A function that starts a shell line as the leader of a session; gives its process."""
    made = []

    def start(line):
        token = uuid.uuid4().hex
        process = subprocess.Popen(
            ["/bin/sh", "-c", line], start_new_session=True, stdout=subprocess.PIPE,
            env={**os.environ, "JOBD_RUN": token},
        )  # fmt: skip
        made.append(process)
        return process, Child(process.pid, token, Survey())

    yield start
    for process in made:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def used(child):
    return usages([child], child._survey)[0]


def test_all_processes_of_a_job_count(started):
    python = f'{sys.executable} -c "{BIG}"'
    process, child = started(f"{python} & {python} & wait")
    for _ in range(2):
        assert process.stdout.readline() == b"held\n"
    found = used(child)
    assert found.rss_kb > 128 * 1024, "both together"
    assert 64 * 1024 < found.max_rss_kb < 128 * 1024, "the larger of them"
    assert found.cpu_s > 0
    assert found.gpu_memory_kb is None


def test_what_was_used_stays_used(started):
    process, child = started(f'{sys.executable} -c "{BIG}" & echo $!; wait; kill -STOP $$')
    lines = {process.stdout.readline() for _ in range(2)}
    [pid] = [int(line) for line in lines - {b"held\n"}]
    before = used(child)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: linux.stat_of(pid) is None)
    after = used(child)
    assert after.cpu_s >= before.cpu_s
    assert after.max_rss_kb >= before.max_rss_kb > 64 * 1024
    assert after.rss_kb < 64 * 1024


def test_a_process_that_vanishes_meanwhile_is_no_error(started, monkeypatch):
    process, child = started("sleep 100 & echo; wait")
    process.stdout.readline()
    real = usage_of
    monkeypatch.setattr(processes, "usage_of", lambda pid: real(pid) if pid == child.pid else None)
    assert used(child).rss_kb == real(child.pid).rss_kb


def test_a_job_that_has_ended_has_no_memory_now(started):
    process, child = started(":")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    found = used(child)
    assert (found.max_rss_kb, found.rss_kb) == (None, None)
    assert found.cpu_s is not None
    child.reap()
    assert used(child) == Usage(cpu_s=found.cpu_s), "as was seen"


def test_nothing_is_known_of_a_process_without_files():
    assert usage_of(2**22) is None


# --- GPUs -----------------------------------------------------------------------------------------


@pytest.fixture
def nvidia(tmp_path, monkeypatch):
    """A function that makes an `nvidia-smi` of a shell line; it counts its calls."""

    def make(line):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\necho x >>{tmp_path}/calls\n{line}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    calls = tmp_path / "calls"
    make.calls = lambda: len(calls.read_text().split()) if calls.exists() else 0
    return make


@pytest.fixture
def patience(nvidia, monkeypatch):
    """A function that says how long a driver may take from here on; however busy the machine is, it
    is asked before its time is up.
    """
    spawn = spawning.spawn_helper

    def asked(*args):
        before, pid = nvidia.calls(), spawn(*args)
        wait_until(lambda: nvidia.calls() > before)
        return pid

    monkeypatch.setattr(spawning, "spawn_helper", asked)
    return lambda seconds: monkeypatch.setattr("jobd.system.probe._PATIENCE_S", seconds)


def probing():
    """Threads that ask a driver."""
    return sum(thread.name == "probe" for thread in threading.enumerate())


def test_memory_of_gpus_counts_by_process(nvidia):
    nvidia("printf '7, 100\\n8, [N/A]\\n7, 28\\n[N/A], 5\\nNo running processes found\\n'")
    assert Gpus().memory_by_pid() == {7: 128 * 1024}


def test_memory_of_gpus_is_that_of_all_processes(nvidia, started):
    process, child = started("sleep 100 & echo $!; wait")
    inner = int(process.stdout.readline())
    nvidia(f"echo {child.pid}, 1; echo {inner}, 2; echo 1, 4")
    assert used(child).gpu_memory_kb == 3 * 1024


@pytest.mark.parametrize("line", ["exit 9", "exec sleep 100"])
def test_a_driver_that_does_not_answer_is_not_asked_again_soon(nvidia, line, patience):
    patience(0.3)
    now = 0.0
    gpus = Gpus(lambda: now)
    nvidia(line)
    assert [gpus.memory_by_pid(), gpus.memory_by_pid()] == [None, None]
    wait_until(lambda: not probing())
    assert nvidia.calls() == 1
    patience(20.0)
    nvidia("echo 7, 1")
    now = 59.0
    assert gpus.memory_by_pid() is None
    now = 61.0
    assert gpus.memory_by_pid() == {7: 1024}


def test_a_driver_that_refuses_one_question_is_asked_the_other(nvidia):
    gpus = Gpus()
    nvidia("case $1 in --query-gpu=*) exit 9;; *) echo 7, 1;; esac")
    assert gpus.all() is None
    assert gpus.memory_by_pid() == {7: 1024}
    assert gpus.all() is None
    assert nvidia.calls() == 2


def test_a_driver_that_outlives_its_kill_keeps_nobody(nvidia, patience, tmp_path, monkeypatch):
    """As one does that hangs in the kernel (state D)."""
    patience(0.3)
    kill = os.kill
    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, lambda *_: None)
    gpus, pid = Gpus(), tmp_path / "pid"
    nvidia(f"echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 100")
    assert [gpus.all(), gpus.all()] == [None, None]
    wait_until(pid.exists)
    driver = int(pid.read_text())
    assert linux.stat_of(driver).state not in "ZX", "it was not waited for"
    patience(20.0)
    nvidia("echo 7, 1")
    assert gpus.memory_by_pid() == {7: 1024}, "nobody else waits for it either"
    assert gpus.all() is None
    gpus.close()
    assert probing() == 1, "it hangs, and its thread with it"
    kill(driver, signal.SIGKILL)
    wait_until(lambda: not probing())
    assert linux.stat_of(driver) is None, "its thread has reaped it"


def test_a_process_that_is_about_to_be_replaced_leaves_no_driver_behind(
    nvidia, tmp_path, monkeypatch
):
    monkeypatch.setattr("jobd.system.probe._PATIENCE_S", 20.0)
    engine, pid = LocalEngine(context_of(tmp_path)), tmp_path / "pid"
    nvidia(f"echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 100")
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(engine.gpus)
        wait_until(pid.exists)
        engine.freeze()
        assert found.result(10) is None
    wait_until(lambda: linux.stat_of(int(pid.read_text())) is None)
    assert engine.gpus() is None
    assert nvidia.calls() == 1
    engine.close()


def test_a_machine_without_gpus_is_asked_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Gpus().memory_by_pid() is None
    assert Gpus().all() is None


def test_what_gpus_are_doing(nvidia):
    """As of two, of one that is shared out (MIG), and of a driver that has something to say."""
    nvidia("printf '0, 97, 4012, 24564\\n1, [N/A], [N/A], 81920\\nUnable to say, why\\n'")
    assert Gpus().all() == [
        Gpu(index=0, load=97, memory_kb=4012 * 1024, total_kb=24564 * 1024),
        Gpu(index=1, total_kb=81920 * 1024),
    ]
