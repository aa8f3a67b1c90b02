"""Processes of a job that its user may not signal: they run as another user, as under sudo.

A program with the setuid bit, made here by root, does it, and the daemon is another user's.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from jobd.system import linux
from tests.helpers import wait_until
from tests.users import BIN, needs_users

pytestmark = [
    pytest.mark.e2e,
    needs_users,
    pytest.mark.local("users of nodes are not ours to make"),
]
GRACE_S = 1.0
SLOWLY_S = 5.0
"""Seconds that a command may take to begin and to end on a busy machine."""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    directory = Path("/tmp") / f"jn-{os.getpid()}"
    directory.mkdir(mode=0o755)
    if os.statvfs(directory).f_flag & os.ST_NOSUID:
        directory.rmdir()
        pytest.skip(f"{directory.parent} is mounted nosuid: no program changes its user there")
    made = directory / "privileged"
    source = Path(__file__).with_name("privileged.c")
    subprocess.run([compiler, "-O1", "-o", made, source], check=True)
    made.chmod(0o4755)
    yield made
    shutil.rmtree(directory)


class Owned:
    """The owner's instance; what the program says is in a directory of the owner's."""

    def __init__(self, owner, program):
        self.owner, self.program = owner, program
        self.said = owner.home / "said"
        self.owner.run("mkdir", self.said, code=0)
        home = owner.home / "jobd"
        self.owner.run("mkdir", "-m", "700", home, code=0)
        (home / "config.toml").write_text(f"[daemon]\ngrace = {GRACE_S}\n")
        self.env = {"JOBD_HOME": str(home)}
        self.jobd("start")

    def jobd(self, *words, code=0):
        return self.owner.run(BIN / "jobd", *words, code=code, env=self.env)

    def jobctl(self, *words, code=0):
        return self.owner.run(BIN / "jobctl", *words, code=code, env=self.env)

    def begins(self, line="exec {program} {pid}"):
        """The id of a job, and the pid of what cannot be signalled of it."""
        file = self.said / f"{len(list(self.said.iterdir()))}"
        text = line.format(program=self.program, pid=file)
        job = self.jobctl("submit", "-c", text).stdout.strip()
        wait_until(lambda: file.exists() and file.read_text().endswith("\n"), 30)
        return job, int(file.read_text())

    def shown(self, job):
        return json.loads(self.jobctl("show", job, "--json").stdout)

    def close(self):
        for file in self.said.iterdir():
            end(int(file.read_text()))
        self.jobd("stop", "--now")


def end(pid):
    """As `sudo kill` would."""
    if lives(pid):
        os.kill(pid, signal.SIGKILL)


def lives(pid):
    return (stat := linux.stat_of(pid)) is not None and stat.state not in "ZX"


@pytest.fixture
def owned(users, program):
    made = Owned(users.owner, program)
    yield made
    made.close()


LINES = {
    "its leader": "exec {program} {pid}",
    "a child of its leader": "{program} {pid}; exit 3",
    "one in a session of its own": "setsid {program} {pid} & trap 'exit 3' TERM; wait",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_stop_says_what_it_may_not_end(owned, line):
    job, pid = owned.begins(line)
    began = time.monotonic()
    done = owned.jobctl("stop", "--grace", str(GRACE_S), job, code=1)
    assert time.monotonic() - began < GRACE_S + 1.0 + SLOWLY_S
    why = f"cannot be ended: pid {pid} (privileged) belongs to root"
    assert f"job {job} still runs and {why}; end that with: sudo kill {pid}" in done.stderr
    assert done.stdout == ""
    found = owned.shown(job)
    assert (found["state"], found["reason"]) == ("running", why)
    status = json.loads(owned.jobctl("status", "--json").stdout)
    entry = {"why": why, "jobs": [int(job)], "more": False, "hint": f"sudo kill {pid}"}
    assert entry in status["stuck"]
    assert f"sudo kill {pid}" in owned.jobctl("status").stdout
    assert lives(pid)
    end(pid)
    owned.jobctl("wait", job, code=143)
    assert owned.shown(job)["reason"] == "by user"


def test_what_may_be_signalled_beside_it_is_ended(owned):
    job, pid = owned.begins("sleep 1000 & echo $!; {program} {pid}; exit 3")
    other = int(wait_until(lambda: owned.jobctl("logs", job).stdout))
    owned.jobctl("stop", "--grace", str(GRACE_S), job, code=1)
    assert (lives(other), lives(pid)) == (False, True)


def test_a_job_that_cannot_be_ended_is_not_removed(owned):
    job, pid = owned.begins()
    done = owned.jobctl("rm", "--force", "--state", "running", code=1)
    assert f"cannot be ended: pid {pid}" in done.stderr
    assert "rm --force" not in done.stderr
    assert owned.shown(job)["state"] == "running"


def test_of_several_the_others_are_stopped(owned):
    job, pid = owned.begins()
    other = owned.jobctl("submit", "sleep 1000").stdout.strip()
    wait_until(lambda: owned.shown(other)["pid"], 30)
    done = owned.jobctl("stop", "--grace", str(GRACE_S), job, other, code=1)
    assert done.stdout == f"{other}\n"
    assert f"pid {pid}" in done.stderr


def test_a_time_limit_that_cannot_be_kept_shows(owned):
    job, _ = owned.begins("{program} {pid}; exit 3")
    other = owned.said / "limited"
    words = ("submit", "--time-limit", "0.5", "-c", f"exec {owned.program} {other}")
    limited = owned.jobctl(*words).stdout.strip()
    wait_until(lambda: other.exists() and other.read_text().endswith("\n"), 30)
    wait_until(lambda: owned.shown(limited)["reason"], 30)
    assert f"pid {other.read_text().strip()} " in owned.shown(limited)["reason"]
    assert owned.shown(job)["reason"] is None
    end(int(other.read_text()))
    wait_until(lambda: owned.shown(limited)["state"] == "failed", 30)
    assert owned.shown(limited)["reason"] == "time limit"


def test_what_cannot_stand_still_is_not_said_to(owned):
    job, pid = owned.begins("{program} {pid}; exit 3")
    for words in (["pause", job], ["pause", "--group", "default", "--running"]):
        done = owned.jobctl(*words, code=1)
        said = f"job {job} cannot be paused: pid {pid} (privileged) belongs to root"
        assert said in done.stderr
        assert not owned.shown(job)["paused"]
    leader = owned.shown(job)["pid"]
    assert linux.stat_of(leader).state != "T"
    # Nobody has told it to end, so nothing is wrong with it.
    assert owned.shown(job)["reason"] is None


def test_a_daemon_that_is_ended_says_what_it_leaves(owned):
    job, pid = owned.begins()
    child, child_pid = owned.begins("{program} {pid}; exit 3")
    began = time.monotonic()
    done = owned.jobd("stop", "--now", code=1)
    assert time.monotonic() - began < GRACE_S + 5.0 + SLOWLY_S
    for one, its in ((job, pid), (child, child_pid)):
        why = f"cannot be ended: pid {its} (privileged) belongs to root"
        assert f"job {one} {why}; end that with: sudo kill {its}" in done.stderr
    assert "jobd stopped" in done.stdout
    assert lives(pid)
    assert lives(child_pid)
    owned.jobd("start")
    # Whose leader lives is looked after; whose leader has ended is over.
    wait_until(lambda: owned.shown(job)["reason"], 30)
    assert f"pid {pid} " in owned.shown(job)["reason"]
    assert owned.shown(child)["reason"] == "shutdown"
    end(pid)
    owned.jobctl("wait", job, code=143)
    assert owned.shown(job)["reason"] == "shutdown"
