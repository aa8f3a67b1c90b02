"""Starting a program where the machine does not give what it should."""

import os
import signal
import threading
from pathlib import Path

import pytest

from jobd import kernel
from jobd.engines import spawn
from jobd.engines.base import Launch, NoResources
from jobd.engines.census import Survey
from jobd.engines.local import Found


def launch_of(line, output):
    return Launch(
        job=1, attempt=1, slot=1, token="f" * 32, argv=[b"/bin/sh", b"-c", line], cwd=b"/",
        umask=0o022, environment={b"PATH": b"/usr/bin:/bin"}, output=Path(output),
    )  # fmt: skip


def in_thread(action):
    result = []
    thread = threading.Thread(target=lambda: result.append(action()))
    thread.start()
    thread.join()
    return result[0]


def test_without_unshare_a_worker_keeps_its_signals_blocked(monkeypatch, tmp_path):
    """Or a TERM that is meant for the daemon would find it, and end the daemon."""
    monkeypatch.setattr(kernel, "unshare_fs", lambda: False)
    output = tmp_path / "output"

    def work():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        with output.open("wb") as file, Path("/dev/null").open("rb") as stdin:
            line = b"grep SigBlk /proc/self/status"
            pid = spawn.prepare(launch_of(line, output), stdin.fileno(), file.fileno())()
        os.waitpid(pid, 0)
        return signal.pthread_sigmask(signal.SIG_BLOCK, [])

    assert {signal.SIGTERM, signal.SIGINT} <= in_thread(work)
    assert int(output.read_text().split()[1], 16) == 0


def test_without_a_thread_a_nice_job_has_not_failed(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(NoResources, match="no thread"):
        spawn.in_own_thread(lambda: 7)


def test_what_a_reused_pid_uses_is_not_that_of_the_job():
    """The job has ended and is reaped; its pid is this process's own by now."""
    pid = os.spawnv(os.P_NOWAIT, "/bin/true", ["true"])
    pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    found = Found(os.getpid(), "f" * 32, Survey(), pidfd, (0.5, 1234))
    try:
        assert found.sample() == (0.5, 1234)
    finally:
        found._drop_handle()


def test_what_a_living_or_ended_process_uses_is_seen():
    pid = os.spawnv(os.P_NOWAIT, "/bin/sh", ["sh", "-c", "kill -STOP $$"])
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    found = Found(pid, "f" * 32, Survey(), os.pidfd_open(pid), (0.5, None))
    try:
        assert found.sample()[1] > 0
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        cpu, peak = found.sample()
        assert cpu < 0.5
        assert peak > 0
    finally:
        os.waitpid(pid, 0)
        found._drop_handle()
