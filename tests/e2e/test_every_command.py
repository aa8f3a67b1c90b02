"""Every command of both programs where terminals, streams and the language are not as usual.

What there is to run is found in click's own objects: a command without a line here is told.
"""

import fcntl
import os
import pty
import subprocess
import termios
import threading
from contextlib import suppress

import pytest

from jobctl.cli import COMMANDS
from jobd.admin.cli import main as jobd
from tests.e2e.instance import BIN
from tests.helpers import wait_until
from tests.users import PATIENCE

pytestmark = pytest.mark.e2e

OF_JOBCTL = {
    "submit": "--hold true",
    "ls": "",
    "show": "1",
    "logs": "-f 1",
    "watch": "1",
    "status": "",
    "events": "",
    "history": "",
    "report": "report.html",
    "wait": "1",
    "hold": "2",
    "start": "--dry-run 2",
    "stop": "--dry-run 2",
    "restart": "--dry-run 1",
    "rm": "--dry-run 1",
    "pause": "--group default --dry-run",
    "resume": "--group default --dry-run",
    "edit": "2 --name x",
    "progress": "40 --job 2",
    "workers": "",
    "groups": "",
    "notify": "true --dry-run",
    "notifications": "",
    "completion": "bash",
    "help": "selectors",
    "version": "",
}
"""Job 1 has completed, job 2 is held."""
OF_JOBD = {
    "status": "", "check": "", "log": "", "config": "", "metrics": "", "reload": "",
    "completion": "bash", "help": "", "version": "", "start": "", "backup": "backup.db",
}  # fmt: skip
ENDS_DAEMONS = {
    "stop",
    "restart",
    "restore",
    "install-service",
    "uninstall-service",
    "service-stop",
}
"""Others try these: `test_surroundings.py`, `test_service.py`."""
LINES = [
    *(("jobctl", name, *words.split()) for name, words in OF_JOBCTL.items()),
    *(("jobd", name, *words.split()) for name, words in OF_JOBD.items()),
    ("jobctl", "--help"), ("jobctl", "submit", "--help"), ("jobd", "--help"),
    ("jobctl",), ("jobctl", "nonsense"), ("jobctl", "ls", "--nonsense"), ("jobctl", "show", "999"),
    ("jobctl", "ls", "--json"), ("jobctl", "ls", "1-2"), ("jobctl", "logs", "1-2"),
]  # fmt: skip
SANE = (0, 1, 2)
SMALL = b"\x05\0\x14\0\0\0\0\0"
"""5 lines of 20 columns, as TIOCSWINSZ has it."""


def test_every_command_has_a_line():
    assert set(COMMANDS) == {*OF_JOBCTL, "top"}
    assert set(jobd.commands) == {*OF_JOBD, *ENDS_DAEMONS}


@pytest.fixture(scope="module")
def queue(shared):
    assert shared.id_of("echo café; printf '\\303\\251\\377'") == 1
    assert shared.id_of("--hold", "-n", "a-long-name-é", "true") == 2
    shared.wait(1)
    return shared


def on_terminal(queue, words, env):
    """Its exit code, and what it shows; it may wait for somebody who leaves it."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, SMALL)
    process = queue.begin(
        words[0], *words[1:], env=env, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    shown = []

    def read():
        with suppress(OSError):  # nobody holds the terminal any more
            while data := os.read(leader, 65536):
                shown.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    code = process.wait(PATIENCE)
    reader.join(PATIENCE)
    os.close(leader)
    return code, b"".join(shown)


def elsewhere(queue, words, **streams):
    """Its exit code, and what it says on stderr."""
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **streams}
    done = subprocess.run(
        [BIN / words[0], *words[1:]], env={**queue.env, **given.pop("env", {})}, cwd=queue.work,
        check=False, timeout=PATIENCE, stderr=subprocess.PIPE, **given,
    )  # fmt: skip
    return done.returncode, done.stderr


def assert_sane(words, code, said):
    assert code in SANE, (words, code, said)
    for bad in (b"Traceback", b"a defect in", b"Exception ignored"):
        assert bad not in said, (words, said)


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_on_a_dumb_terminal_of_twenty_columns(queue, words):
    """In the C locale: no escape sequences but those that a job has printed."""
    env = {"TERM": "dumb", "LC_ALL": "C", "COLUMNS": "", "LINES": ""}
    code, shown = on_terminal(queue, words, env)
    assert_sane(words, code, shown)
    assert b"\x1b" not in shown
    env = {"TERM": "xterm", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert_sane(words, *on_terminal(queue, words, {**env, "COLUMNS": "", "LINES": ""}))


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_where_nobody_takes_what_is_printed(queue, words):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as gone:
        code, said = elsewhere(queue, words, stdout=gone)
        assert_sane(words, code, said)
    with open("/dev/full", "wb") as full:
        code, said = elsewhere(queue, words, stdout=full)
        assert_sane(words, code, said)
    closed = 'exec "$@" >&-'
    line = ["/bin/sh", "-c", closed, "sh", str(BIN / words[0]), *words[1:]]
    done = subprocess.run(
        line, env=queue.env, cwd=queue.work, check=False, timeout=PATIENCE, capture_output=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert_sane(words, done.returncode, done.stderr)


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_without_a_terminal(queue, words):
    """A session of its own, as under cron."""
    env = {"TERM": "", "LC_ALL": "C", "COLUMNS": ""}
    code, said = elsewhere(queue, words, env=env, start_new_session=True)
    assert_sane(words, code, said)
    assert b"\x1b" not in said


def test_what_fills_the_screen_needs_one(queue):
    """`top` stays until somebody leaves it, so it is not among the others."""
    code, said = elsewhere(queue, ("jobctl", "top"))
    assert_sane(("jobctl", "top"), code, said)
    assert code != 0
    code, shown = on_terminal(queue, ("jobctl", "top"), {"TERM": "dumb"})
    assert_sane(("jobctl", "top"), code, shown)
    assert b"\x1b" not in shown


def test_a_pipe_that_is_full_is_waited_for_until_its_reader_has_gone(queue):
    loud = queue.id_of("yes | head -c 3000000")
    queue.wait(loud)
    process = queue.begin("jobctl", "logs", str(loud))
    assert process.stdout.readline() == b"y\n"
    filled = [0]

    def is_full():
        """As much waits in the pipe as before: nothing more goes into it."""
        before, filled[0] = filled[0], _waiting(process.stdout)
        return before == filled[0] > 0

    wait_until(is_full, PATIENCE)
    assert process.poll() is None
    process.stdout.close()
    assert (process.wait(PATIENCE), process.stderr.read()) == (0, b"")


def _waiting(pipe):
    found = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, found)
    return int.from_bytes(found, "little")
