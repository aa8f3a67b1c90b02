"""What a stranger prepares for others, root above all; and how the tests see what came of it."""

import contextlib
import json
import os
import subprocess
import sys
from typing import NamedTuple

from tests.e2e.instance import BIN, PATIENCE
from tests.helpers import processes_with

COMMANDS = {
    "start": ["start"],
    "start in this terminal": ["start", "--foreground"],
    "stop": ["stop"],
    "stop now": ["stop", "--now"],
    "restart": ["restart"],
    "status": ["status"],
    "status as data": ["status", "--json"],
    "log": ["log"],
    "check": ["check"],
    "backup": ["backup", "--force"],
    "restore": ["restore"],
    "reload": ["reload"],
    "config": ["config"],
    "metrics": ["metrics"],
}
"""Every command of jobd that is about an instance; what copies gets a file to copy to, or from."""
ABOUT_NONE = {"help", "version", "completion", "install-service", "uninstall-service"}
"""Commands of jobd that look at no instance; a service that is installed does by `start`."""
OF_A_SERVICE = {"service-stop"}
"""What systemd alone calls, with an environment by which the command knows that."""
FAKE = """
import fcntl, os, signal, socket, sys
state = sys.argv[1]
def note(number, _frame):
    with open(state + "/signals", "a") as file:
        file.write(f"{number}\\n")
for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCONT):
    signal.signal(number, note)
lock = os.open(sys.argv[2], os.O_RDONLY)
fcntl.flock(lock, fcntl.LOCK_EX)
mute = socket.socket(socket.AF_UNIX)
if sys.argv[3]:
    mute.bind(sys.argv[3])
    mute.listen(100)
print("holds it", flush=True)
while True:
    signal.pause()
"""
"""Holds the lock and takes connections, of which it hears none."""


class Root(NamedTuple):
    """As one of tests/users.py: whoever runs the tests, or with another real user id."""

    prefix: tuple[str, ...] = ()

    def command(self):
        return self.prefix

    def environment(self):
        return dict(os.environ)


def snapshot(directory):
    """All that root could have changed in it."""
    found = {}
    for path in sorted([directory, *directory.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[str(path)] = (status.st_mode, status.st_uid, status.st_ino, content)
    return found


@contextlib.contextmanager
def holding(user, state, *, lock=None, socket="", plan=None, program="jobd.daemon"):
    """A process of the user's that holds the lock and looks like one of jobd's."""
    words = [sys.executable, "-c", FAKE, state, lock or state / "jobd.lock", socket]
    words += ["-m", program, json.dumps(plan or {})]
    process = subprocess.Popen(
        [*user.command(), *map(str, words)], env=user.environment(), cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "holds it\n"
        yield process
    finally:
        process.kill()
        process.communicate()


class Trap:
    """What the stranger has prepared in his home, and what of root it leads to."""

    def __init__(self, user, roots, program="jobd.daemon"):
        self.user, self.roots = user, roots
        self.state = user.home / ".local/state/jobd"
        self.precious = roots / "precious"
        self.precious.write_text("root's own\n")
        self.precious.chmod(0o640)
        (roots / "directory").mkdir(mode=0o755)
        self._prepare()
        self._program = program

    def _prepare(self):
        lines = f"""
            mkdir -p {self.state}; cd {self.state}; chmod 777 .; : >jobd.lock; chmod 666 jobd.lock
            ln -s {self.precious} jobd.log; ln -s {self.precious} jobd.log.new
            ln -s {self.precious} jobd.db; ln -s {self.roots}/directory running
            ln -s {self.roots}/directory output
            printf '[access]\\nsocket = "{self.state}/others"\\nadmins = ["{self.user.name}"]\\n' \
                >config.toml
        """
        self.user.run("/bin/sh", "-c", lines, code=0)

    @contextlib.contextmanager
    def set(self):
        """Gives a mark for root's environment. Nothing of root's may have changed meanwhile, and
        nothing in the trap, either.
        """
        state = str(self.state)
        access = {"socket": f"{state}/others", "admins": [self.user.name], "viewers": []}
        plan = {
            "state": state, "config_path": f"{state}/config.toml", "ephemeral": False,
            "config": {"access": access}, "lock_path": f"{state}/jobd.lock.2",
        }  # fmt: skip
        with holding(
            self.user, self.state, plan=plan, socket=self.state / "jobd.sock",
            program=self._program,
        ) as process:  # fmt: skip
            before = snapshot(self.roots) | snapshot(self.user.home)
            with marked(state) as mark:
                yield dict([mark.split("=")])
                assert processes_with(mark) == {}
            assert snapshot(self.roots) | snapshot(self.user.home) == before
            assert process.poll() is None


@contextlib.contextmanager
def marked(name):
    """A variable for a command of root's; whatever that leaves running is ended."""
    mark = f"JOBD_TEST_MARK={name}"
    try:
        yield mark
    finally:
        for pid in processes_with(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


def words_of(command, copy):
    return [*COMMANDS[command], *([copy] if command in ("backup", "restore") else [])]


def run_jobd(words, *, env, **options):
    """As root, with an environment that somebody else's is mixed into (`sudo -E`, `su -m`)."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JOBD_", "XDG_"))}
    return subprocess.run(
        [BIN / "jobd", *map(str, words)], env={**kept, **env}, cwd="/", capture_output=True,
        text=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip


def assert_refused(done, *words):
    assert done.returncode == 77, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert [word for word in words if word not in done.stderr] == []
