"""Starting a program where the machine does not give what it should."""

import errno
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobd.core.usage import Usage
from jobd.engines.base import CannotStart, Launch, NoResources
from jobd.engines.local import spawn
from jobd.engines.local.engine import LocalEngine
from jobd.engines.local.process_snapshot import Survey
from jobd.engines.local.processes import Found
from jobd.system import linux, spawning
from tests.engines.contexts import context_of


def launch_of(line):
    return Launch(
        job=1, attempt=1, slot=1, token="f" * 32, argv=[b"/bin/sh", b"-c", line], cwd=b"/",
        umask=0o022, environment={b"PATH": b"/usr/bin:/bin"},
    )  # fmt: skip


def in_thread(action):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(action).result()


def test_without_unshare_a_worker_keeps_its_signals_blocked(monkeypatch, tmp_path):
    """Or a TERM that is meant for the daemon would find it, and end the daemon."""
    monkeypatch.setattr(linux, "unshare_fs", lambda: False)
    output, mark, null = tmp_path / "output", tmp_path / "mark", Path("/dev/null")

    def work():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        with output.open("wb") as file, mark.open("wb") as empty, null.open("rb") as stdin:
            files = (stdin.fileno(), file.fileno(), empty.fileno())
            pid = spawn.prepare(launch_of(b"grep SigBlk /proc/self/status"), None, *files)()
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
    found = Found(os.getpid(), "f" * 32, Survey(), pidfd, Usage(0.5, 1234))
    try:
        assert found.leaders_usage() == Usage(0.5, 1234)
    finally:
        found.leave()


def test_what_a_living_or_ended_process_uses_is_seen():
    pid = os.spawnv(os.P_NOWAIT, "/bin/sh", ["sh", "-c", "kill -STOP $$"])
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    found = Found(pid, "f" * 32, Survey(), os.pidfd_open(pid), Usage(0.5, None))
    try:
        assert found.leaders_usage().max_rss_kb > 0
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        used = found.leaders_usage()
        assert used.cpu_s < 0.5
        assert used.max_rss_kb > 0
        assert used.rss_kb is None
    finally:
        os.waitpid(pid, 0)
        found.leave()


@pytest.mark.parametrize("unshared", [True, False])
def test_a_new_process_says_that_it_was_there(monkeypatch, tmp_path, unshared):
    """Its mark is emptied, though the file has lost its name; it keeps no descriptor of it."""
    if not unshared:
        monkeypatch.setattr(linux, "unshare_fs", lambda: False)
    output, mark, null = tmp_path / "output", tmp_path / "mark", Path("/dev/null")
    mark.write_bytes(b"x")

    def work():
        with output.open("wb") as file, mark.open("r+b") as full, null.open("rb") as stdin:
            mark.unlink()
            launch = launch_of(b"ls -l /proc/self/fd")
            go = spawn.prepare(launch, None, stdin.fileno(), file.fileno(), full.fileno())
            before = os.fstat(full.fileno()).st_size
            os.waitpid(go(), 0)
            return before, os.fstat(full.fileno()).st_size

    assert in_thread(work) == (1, 0)
    assert "mark" not in output.read_text()
    assert "/dev/null" in output.read_text()


def test_what_could_not_be_spawned_is_taken_from_the_board(tmp_path, monkeypatch):
    """Or, after a kill, it would be looked for among the children that others leave."""
    engine = LocalEngine(context_of(tmp_path))
    engine._table.begin()
    launch = launch_of(b"true")
    for code, kind in ((errno.EAGAIN, NoResources), (errno.EACCES, CannotStart)):
        error = OSError(code, os.strerror(code))
        monkeypatch.setattr(spawning, "spawn", lambda *_a, error=error: raises(error))
        with pytest.raises(kind):
            in_thread(lambda: engine.start(launch))
        assert engine._table.find(launch.slot, launch.token) is None
    engine.close()


def raises(error):
    raise error
