"""A directory of the daemon's is deleted, and somebody else makes another one in its place.

Real users: `/tmp` lets everybody make a name that is free again. Nothing in what a stranger has
made is read for others, executed, written or deleted, wherever links in it lead.
"""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.helpers import wait_until
from tests.users import BIN, needs_users

pytestmark = [
    pytest.mark.e2e,
    needs_users,
    pytest.mark.local("outputs and scripts of a cluster's jobs lie elsewhere"),
]
PRIVATE = "private key"
FINE = "#!/bin/sh\necho fine\n"
SWAP = """
import ctypes, os, sys
place, first = sys.argv[1], int(sys.argv[2])
os.umask(0)
libc = ctypes.CDLL(None, use_errno=True)
watch = libc.inotify_init()
assert libc.inotify_add_watch(watch, place.encode(), 0x8 | 0x100) > 0
print("ready", flush=True)
while os.read(watch, 65536):
    for job in range(first, first + 20):
        path = f"{place}/{job}.s.sh"
        try:
            os.rename(path, path + ".x")
            os.link(place + "/evil", path)
        except OSError:
            pass
"""
"""Puts a file of its own in the place of each script that is made or written."""


class Instance:
    def __init__(self, users, base, home):
        self.owner, self.viewer, self.stranger = users
        self.base, self.home = base, home
        self.public = self.owner.home / "public"
        self._own = {"JOBD_HOME": str(home)}
        self.socket = self.public / "sock"
        self.make(self.public, 0o755)
        self.make(home)
        self.write(home / "config.toml", self._config())
        self.secret = self.write(self.make(self.owner.home / ".ssh") / "id", PRIVATE)

    def _config(self):
        return f'[access]\nsocket = "{self.socket}"\nviewers = ["{self.viewer.name}"]\n'

    def make(self, path, mode=0o700, user=None):
        user = user or self.owner
        path.mkdir()
        path.chmod(mode)
        os.chown(path, user.uid, user.gid)
        return path

    def write(self, path, content, mode=0o600, user=None):
        user = user or self.owner
        path.write_text(content)
        path.chmod(mode)
        os.chown(path, user.uid, user.gid)
        return path

    def link(self, path, target, user=None):
        user = user or self.owner
        path.symlink_to(target)
        os.chown(path, user.uid, user.gid, follow_symlinks=False)

    def jobd(self, *words, code=0):
        return self.owner.jobd(*words, code=code, env=self._own)

    def jobctl(self, *words, code=0):
        return self.owner.jobctl(*words, code=code, env=self._own)

    def look(self, *words):
        return self.viewer.jobctl(*words, env={"JOBD_SOCKET": str(self.socket)})

    def begin_to_look(self, *words, owner=False):
        user = self.owner if owner else self.viewer
        env = self._own if owner else {"JOBD_SOCKET": str(self.socket)}
        return subprocess.Popen(
            [*user.command(), BIN / "jobctl", *words], cwd="/", env=user.environment(**env),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def close(self):
        for pid in processes_of(self.owner):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_of(user):
    """All that run as a user of the tests; also those whose home is gone."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == user.uid:
                found.append(int(entry.name))
    return found


@pytest.fixture
def base():
    """Like /tmp: everybody may make names in it, and delete their own alone."""
    directory = Path(tempfile.mkdtemp(prefix="jd-", dir="/tmp"))
    directory.chmod(0o1777)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def in_sticky(users, base):
    made = Instance(users, base, base / "q")
    yield made
    made.close()


@pytest.fixture
def linked(users, base):
    """Its output and scripts lie on what is to be a larger disk."""
    made = Instance(users, base, users.owner.home / "q")
    made.make(base / "big")
    for name in ("output", "scripts"):
        made.make(base / "big" / name)
        made.link(made.home / name, base / "big" / name)
    yield made
    made.close()


def gate(instance):
    path = instance.owner.home / "gate"
    os.mkfifo(path)
    os.chown(path, instance.owner.uid, instance.owner.gid)
    return path, os.open(path, os.O_RDWR | os.O_NONBLOCK)


# --- the state directory ------------------------------------------------------------------------


def test_what_is_made_in_the_place_of_the_home_is_neither_read_nor_deleted(in_sticky):
    instance = in_sticky
    path, opened = gate(instance)
    line = f"#!/bin/sh\necho up\nread _ <{path}\n"
    script = instance.write(instance.owner.home / "s.sh", line, 0o700)
    elsewhere = instance.make(instance.owner.home / "keys")
    keys = [instance.write(elsewhere / name, "key") for name in ("1.s.sh", "1.1")]
    instance.jobd("start")
    assert instance.jobctl("submit", "--script", str(script)).stdout == "1\n"
    wait_until(lambda: instance.look("logs", "1").stdout == "up\n")
    # Those who have looked before the home went are told nothing more, either.
    following = [instance.begin_to_look("logs", "-f", "1", owner=mine) for mine in (True, False)]
    shutil.rmtree(instance.home)
    made = instance.home
    instance.stranger.run(
        "sh", "-c",
        f"umask 0; mkdir -p {made}/output/0; ln -s {instance.secret} {made}/output/0/1.1.log;"
        f" ln -s {elsewhere} {made}/scripts; ln -s {elsewhere} {made}/progress",
        code=0,
    )  # fmt: skip
    # Before and after the daemon has seen that its home went.
    while instance.socket.exists():
        assert PRIVATE not in instance.look("logs", "1").stdout
    assert instance.look("logs", "1").returncode != 0
    followed = [process.poll() for process in following]
    os.write(opened, b"\n")
    # Those of ours are looked at each time: one that has ended and was not asked is still there.
    wait_until(lambda: [p.poll() for p in following] and not processes_of(instance.owner), 60)
    said = [process.communicate(timeout=60) for process in following]
    assert PRIVATE not in str(said), followed
    assert [key.read_text() for key in keys] == ["key", "key"]
    os.close(opened)


# --- what is linked to another place ------------------------------------------------------------


def stranger_takes(instance):
    """The place of what was deleted, open to all."""
    big = instance.base / "big"
    shutil.rmtree(big)
    instance.stranger.run(
        "sh", "-c",
        f"umask 0; mkdir -p {big}/output/0 {big}/scripts;"
        f" printf '#!/bin/sh\\nid >{instance.base}/pwned\\n' >{big}/scripts/evil;"
        f" chmod 777 {big}/scripts/evil",
        code=0,
    )  # fmt: skip
    return big


def test_no_script_of_a_strangers_is_executed_and_nothing_is_written_for_them(linked):
    instance = linked
    script = instance.write(instance.owner.home / "s.sh", FINE, 0o700)
    instance.jobd("start")
    instance.jobctl("submit", "-w", "--script", str(script))
    big = stranger_takes(instance)
    swapping = subprocess.Popen(
        [*instance.stranger.command(), sys.executable, "-c", SWAP, str(big / "scripts"), "2"],
        stdout=subprocess.PIPE, cwd="/", text=True,
    )  # fmt: skip
    assert swapping.stdout.readline() == "ready\n"
    for _ in range(10):
        instance.jobctl("submit", "--script", str(script))
    error = wait_until(lambda: trouble(instance) or (not unfinished(instance) and "all ran"), 30)
    swapping.kill()
    swapping.communicate()
    assert not (instance.base / "pwned").exists()
    assert f"{big} belongs to user {instance.stranger.name}" in error
    assert os.listdir(big / "scripts") == ["evil"]
    assert os.listdir(big / "output/0") == []
    # With a directory of the owner's all of them run.
    shutil.rmtree(big)
    instance.make(big)
    for name in ("output", "scripts"):
        instance.make(big / name)
    instance.jobctl("wait", "2-11")
    assert instance.jobctl("logs", "11").stdout == "fine\n"
    assert stat.S_IMODE((big / "output/0").stat().st_mode) == 0o700


def unfinished(instance):
    return instance.jobctl("ls", "--state", "pending", "--state", "running", "--ids").stdout


def trouble(instance):
    said = instance.jobctl("status", "--json").stdout + instance.jobd("status").stdout
    return said if "no job can be started" in said else None


def test_scripts_alone_in_a_strangers_hands_hold_no_other_job(linked):
    """A script is not executed; what needs none goes on."""
    instance = linked
    (instance.home / "output").unlink()
    instance.make(instance.home / "output")
    script = instance.write(instance.owner.home / "s.sh", FINE, 0o700)
    instance.jobd("start")
    stranger_takes(instance)
    instance.jobctl("submit", "-w", "--script", str(script), code=126)
    assert instance.jobctl("submit", "-w", "echo", "other").stdout == "other\n"
    reason = instance.jobctl("show", "1").stdout
    assert f"{instance.base}/big belongs to user {instance.stranger.name}" in reason


def test_output_in_a_strangers_place_is_gone(linked):
    instance = linked
    instance.jobd("start")
    instance.jobctl("submit", "-w", "echo", "mine")
    assert instance.look("logs", "1").stdout == "mine\n"
    big = stranger_takes(instance)
    instance.stranger.run("ln", "-s", instance.secret, big / "output/0/1.1.log", code=0)
    for done in (instance.look("logs", "1"), instance.owner.jobctl("logs", "1", env=instance._own)):
        assert (done.returncode, done.stdout) == (1, "")
        assert "the output of job 1 is gone" in done.stderr
    instance.jobctl("rm", "1")
    assert (big / "output/0/1.1.log").is_symlink()


def test_a_stranger_who_is_there_at_the_start_is_named(linked):
    big = stranger_takes(linked)
    done = linked.jobd("start", code=1)
    assert f"{big} belongs to user {linked.stranger.name}" in done.stderr
