"""What the daemon stands on is deleted under it: its socket, its lock, its database, its home."""

import contextlib
import os
import shutil
import signal
import threading

import pytest

from jobd.client.client import Client
from jobd.contract.errors import JobdError, StoreGone
from jobd.contract.models import List
from jobd.contract.paths import is_supervised
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e


def test_a_socket_that_is_deleted_is_made_anew(running):
    client = running.client()
    running.paths.socket.unlink()
    wait_until(running.paths.socket.exists)
    assert running.paths.socket.stat().st_mode & 0o777 == 0o600
    # Who is connected stays so, and who comes is served.
    job = running.submit("true", client=client)
    assert running.jobctl("wait", str(job)).returncode == 0
    assert "was deleted, and is made anew" in running.paths.log.read_text()


@pytest.mark.parametrize("killed", ["daemon", "supervisor", "none"])
def test_a_lock_that_is_deleted_is_made_anew_for_both(running, killed):
    """Each of the two is known by it, and the other one goes on holding it."""
    gate = running.gate()
    job = running.submit(f"read _ <{gate.path}; exit 3")
    found = running.status()
    running.paths.lock.unlink()
    wait_until(lambda: is_supervised(running.paths.socket))
    wait_until(lambda: running.paths.lock.read_text() == f"{found.supervisor_pid}\n")
    if killed != "none":
        running.kill(found.pid if killed == "daemon" else found.supervisor_pid)
    assert running.jobd("start").stdout.count("already running") == 1
    assert is_supervised(running.paths.socket)
    gate.open()
    assert running.wait(job)[job].exit_code == 3
    assert running.jobd("stop").returncode == 0


@pytest.mark.parametrize("options", [[], ["--ephemeral"]])
def test_two_daemons_never_have_one_database(instance, options):
    """Without lock and socket the second one cannot know of the first."""
    running = instance
    running.start(*options)
    running.submit("exec sleep 1000")
    found = running.status()
    for pid in (found.pid, found.supervisor_pid):
        running.halt(pid)
    running.paths.lock.unlink()
    running.paths.socket.unlink()
    second = running.jobd("start", *options, code=1)
    assert "another jobd has the database" in second.stderr
    assert f"open (pid {found.pid})" in second.stderr
    for pid in (found.pid, found.supervisor_pid):
        running.go_on(pid)
    wait_until(lambda: is_supervised(running.paths.socket))
    wait_until(running.paths.socket.exists)
    assert running.status().pid == found.pid
    assert running.jobctl("ls", "--state", "running", "--ids").stdout == "1\n"


@pytest.mark.parametrize("options", [[], ["--ephemeral"]])
def test_an_idle_daemon_whose_home_is_deleted_leaves(instance, options):
    instance.start(*options)
    found = instance.status()
    shutil.rmtree(instance.home)
    wait_until(lambda: not os.path.exists(f"/proc/{found.pid}"))
    wait_until(lambda: not os.path.exists(f"/proc/{found.supervisor_pid}"))


def test_a_home_that_is_deleted_waits_for_its_jobs(running):
    gate = running.gate()
    running.submit(f"echo >>ran; read _ <{gate.path}; echo whole >>ran")
    running.await_lines("ran", 1)
    shutil.rmtree(running.home)
    gate.open()
    wait_until(lambda: not running.processes(), 60)
    assert running.lines("ran") == ["", "whole"]


def test_without_a_database_term_ends_the_daemon(running):
    """Nothing can be recorded; what was asked is done all the same, and said once."""
    found = running.status()
    with Client(running.paths.socket) as client:
        client.status()
        running.paths.database.unlink()
        wait_until(lambda: "was deleted or moved" in (client.status().error or ""))
        with pytest.raises(StoreGone):
            running.submit("true", client=client)
    os.kill(found.pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{found.pid}"))
    said = [line for line in running.paths.log.read_text().splitlines() if "failed: the" in line]
    assert len(said) == 1


def test_a_log_that_is_moved_away_is_begun_anew(running):
    running.paths.log.rename(running.paths.log.with_name("jobd.log.old"))
    wait_until(running.paths.log.exists)
    running.paths.socket.unlink()
    wait_until(lambda: "was deleted, and is made anew" in running.paths.log.read_text())
    running.kill(running.status().pid)  # the supervisor has followed, too
    running.jobctl("ls")
    assert "started: pid" in running.paths.log.read_text()


def test_a_stop_is_over_when_the_daemon_is_though_the_lock_was_deleted(running):
    gate = running.gate()
    stop = running.drain(gate)
    running.paths.lock.unlink()
    wait_until(lambda: is_supervised(running.paths.socket))
    assert stop.poll() is None
    gate.open()
    assert stop.wait(60) == 0
    assert not running.processes()


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_the_log_of_the_database_is_deleted_and_nothing_is_lost(running, suffix):
    """While others read: they have it open still, and make new files in the place of the old."""
    gate = running.gate()
    job = running.submit(f"echo >>ran; read _ <{gate.path}; exit 3")
    running.await_lines("ran", 1)
    for _ in range(30):
        running.jobctl("submit", "--hold", "--array", "1-20", "true")
    old, enough = running.status().pid, threading.Event()

    def read_on():
        with running.client() as client:
            while not enough.is_set():
                with contextlib.suppress(JobdError):
                    client.list(List(limit=500))

    readers = [threading.Thread(target=read_on) for _ in range(8)]
    for reader in readers:
        reader.start()
    running.paths.database.with_name(f"jobd.db{suffix}").unlink()
    new = running.answers_anew(old).pid
    enough.set()
    for reader in readers:
        reader.join()
    running.kill(new)
    last = running.submit("true")
    gate.open()
    assert running.wait(job)[job].exit_code == 3
    assert running.wait(last)[last].exit_code == 0
    assert running.lines("ran") == [""]
    assert running.status().jobs["pending"] == 600
    assert running.paths.log.read_text().count("started: pid") == 3
    assert running.jobd("check").returncode == 0


def test_the_socket_for_others_is_made_anew_in_a_directory_of_its_own(instance, tmp_path):
    shared = tmp_path / "sock"
    instance.configure(f'[access]\nsocket = "{shared}"\n')
    instance.start()
    shared.unlink()
    wait_until(shared.exists)
    assert shared.stat().st_mode & 0o777 == 0o666
    with Client(shared) as client:
        assert client.status().running
