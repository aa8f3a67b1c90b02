"""The installation is replaced by a newer one while jobs run: an older supervisor lives on, and
tells what it knows in the arguments of whom it starts.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobd.admin.plan import StartOptions, plan_of
from tests.e2e.instance import Instance
from tests.e2e.test_survival import REPLACE_A_DEAF_ONE
from tests.helpers import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.local("the version before had no other engine")]

OLDER = """
import json, os, signal, sys
from jobd import supervisor

def spawn_daemon(self, link, gate_r, gate_w):
    plan = dict(self._plan, link=link, gate_r=gate_r, gate_w=gate_w)
    inherited = [link, gate_r, gate_w, *supervisor._descriptors(self._plan)]
    for fd in inherited:
        os.set_inheritable(fd, True)
    try:
        return os.posix_spawn(
            sys.executable, [sys.executable, "-P", "-m", "jobd.daemon", json.dumps(plan)],
            os.environ, setsid=True, setsigmask=[signal.SIGTERM, signal.SIGINT],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1],
        )
    finally:
        for fd in inherited:
            os.set_inheritable(fd, False)

def become_supervisor(plan):
    for fd in supervisor._descriptors(plan):
        os.set_inheritable(fd, True)
    handled = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]
    signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    words = [sys.executable, "-P", "-m", "jobd.supervisor", json.dumps(plan)]
    os.execve(sys.executable, words, os.environ)

supervisor.Supervisor._spawn_daemon = spawn_daemon
supervisor.become_supervisor = become_supervisor
supervisor._plan = lambda: json.loads(sys.argv[-1])
sys.exit(supervisor.main())
"""
"""What version 0.1.0 did, word for word, where it handed over."""


@pytest.fixture
def older(home, jobd_home):
    """Started by an older version, with options and a configuration that are kept."""
    instance = Instance(jobd_home, home / "work")
    instance.env["SECRET_OF_OURS_X"] = "1"
    instance.home.mkdir(mode=0o700)
    instance.paths.config.write_text('[daemon]\nenv_exclude = ["SECRET_OF_OURS_*"]\n')
    plan = plan_of(instance.paths, StartOptions(workers=7, ephemeral=True))
    instance.paths.config.unlink()
    words = [sys.executable, "-P", "-c", OLDER, "-m", "jobd.supervisor", json.dumps(plan)]
    with instance.paths.log.open("w") as log:
        started = subprocess.Popen(
            words, env=instance.env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    instance.answers()
    yield instance
    # Before it is closed: a child that nobody waits for stays, and looks as if it lived.
    instance.jobd("stop", "--now")
    started.wait(60)
    instance.close()


def words_of(instance):
    """What ps(1) shows of the two."""
    found = instance.answers()
    pids = (found.supervisor_pid, found.pid)
    return [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:-1] for pid in pids]


def assert_kept(instance):
    found = instance.answers()
    assert (found.workers, found.ephemeral) == (7, True)
    job = instance.submit("env | grep -c SECRET_OF_OURS_X; true")
    instance.wait(job)
    assert instance.output(job) == b"0\n"


def test_the_next_daemon_and_the_next_supervisor_go_on(older):
    """The daemon dies and is started by the older supervisor; then both are renewed."""
    gate = older.gate()
    job = older.submit(f"echo >>ran; read _ <{gate.path}; exit 5")
    older.await_lines("ran", 1)
    first = older.status()
    older.kill(first.pid)
    second = older.answers_anew(first.pid)
    assert second.supervisor_pid == first.supervisor_pid
    assert b"SECRET_OF_OURS" in words_of(older)[1][-1]
    assert_kept(older)
    older.jobd("restart")
    third = older.answers_anew(second.pid)
    assert third.supervisor_pid == first.supervisor_pid
    supervisor, daemon = words_of(older)
    assert supervisor[:-1] == [b"-P", b"-m", b"jobd.supervisor"]
    assert daemon[:-1] == [b"-P", b"-m", b"jobd.daemon"]
    assert [word[-1].isdigit() for word in (supervisor, daemon)] == [True, True]
    assert_kept(older)
    gate.open()
    ended = older.wait(job)[job]
    assert (ended.exit_code, ended.attempt, older.lines("ran")) == (5, 1, [""])


def test_the_supervisor_is_killed(older):
    """Its daemon, which it had started, takes its place."""
    gate = older.gate()
    job = older.submit(f"echo >>ran; read _ <{gate.path}; exit 5")
    older.await_lines("ran", 1)
    first = older.status()
    os.kill(first.supervisor_pid, 9)
    second = older.answers_anew(first.pid)
    assert second.supervisor_pid == first.pid
    assert [word[-1].isdigit() for word in words_of(older)] == [True, True]
    assert_kept(older)
    gate.open()
    assert older.wait(job)[job].exit_code == 5


def test_one_that_hangs_is_replaced_and_keeps_what_it_was_told(older):
    """Its supervisor is dead, too: it is our own process, so its arguments are believed."""
    gate = older.gate()
    job = older.submit(f"echo >>ran; read _ <{gate.path}; exit 5")
    older.await_lines("ran", 1)
    old = older.status()
    older.halt(old.pid)
    os.kill(old.supervisor_pid, 9)
    wait_until(lambda: not Path(f"/proc/{old.supervisor_pid}/fd/0").exists())
    done = older.run("python3", "-c", REPLACE_A_DEAF_ONE, code=0)
    older._halted.remove(old.pid)
    assert older.status().pid == int(done.stdout) != old.pid
    assert [word[-1].isdigit() for word in words_of(older)] == [True, True]
    assert_kept(older)
    gate.open()
    assert older.wait(job)[job].reason in ("exit code 5", "lost")
