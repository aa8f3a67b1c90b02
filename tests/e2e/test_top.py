"""`top` with a daemon that leaves and comes back, and on a terminal of its own."""

import asyncio
import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import termios

import pytest

from jobd.client.client import Client
from tests.e2e.instance import BIN
from tests.helpers import wait_until
from tests.jobctl.tui.world import screen, seen, settled, until

pytestmark = pytest.mark.e2e


def test_a_daemon_that_leaves_is_told_of_and_the_next_one_found(instance, monkeypatch):
    monkeypatch.setattr("jobctl.tui.feed._AWAY", 0.05)
    monkeypatch.setenv("TERM", "xterm-256color")
    instance.start()
    instance.submit("sleep 100", name="runner")

    async def check():
        async with seen(lambda: Client(instance.paths.socket)) as pilot:
            await settled(pilot, "── Running 1", "runner")
            await asyncio.to_thread(instance.jobd, "restart")
            instance.submit("true", name="second")
            await settled(pilot, "second")
            await asyncio.to_thread(instance.jobd, "stop", "--now")
            await settled(pilot, "jobd is not running")
            await asyncio.to_thread(instance.start)
            await until(pilot, lambda: "jobd is not running" not in screen(pilot))
            await settled(pilot, "runner", "shutdown")

    asyncio.run(check())


class Terminal:
    """A command in front of one, with nobody else behind it."""

    def __init__(self, instance, words, env):
        leader, follower = pty.openpty()
        self.usual = termios.tcgetattr(follower)
        os.set_blocking(leader, False)
        self.shown = b""
        self._leader = leader
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *words],
            stdin=follower, stdout=follower, stderr=follower,
            env={**instance.env, **env, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
            cwd=instance.work,
        )  # fmt: skip
        os.close(follower)

    def read(self, seconds=0.05):
        """What has come by now."""
        while select.select([self._leader], [], [], seconds)[0]:
            try:
                data = os.read(self._leader, 65536)
            except OSError:
                break
            self.shown += data
            seconds = 0.0
        return self.shown

    @property
    def is_usual(self):
        """Whether it is as it was before."""
        return termios.tcgetattr(self._leader) == self.usual

    def press(self, keys):
        os.write(self._leader, keys)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._leader)


@pytest.fixture
def terminal(instance):
    """A function that starts `top` there, or a command that is given in words."""
    instance.start()
    instance.submit("sleep 100", name="runner")
    made = []

    def start(*words, **env):
        made.append(Terminal(instance, words or [BIN / "jobctl", "top"], env))
        return made[-1]

    yield start
    for one in made:
        one.close()


def ended(terminal):
    wait_until(lambda: terminal.read() is not None and terminal.process.poll() is not None, 60)
    return terminal.process.returncode


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_it_is_left_and_the_terminal_is_as_before(terminal, key):
    top = terminal()
    wait_until(lambda: b"runner" in top.read(), timeout=60)
    top.press(key)
    assert ended(top) == 0
    assert b"\x1b[?1049l" in top.read(), "the screen that was there before"
    assert b"Traceback" not in top.read()
    assert top.is_usual


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_left_out_where_it_is_not_wanted(terminal, env, coloured):
    top = terminal(**env)
    wait_until(lambda: b"Leave" in top.read() and b"state" in top.read())
    colours = re.findall(rb"\x1b\[(?:\d+;)*(?:3[1-7]|4[1-7]|38|48)(?:;\d+)*m", top.read())
    assert bool(colours) == coloured


DEFECT = """
import sys
from jobctl.tui.job_list import JobList

def show(self, lines):
    raise ZeroDivisionError("nobody foresaw this")

JobList.show = show
sys.argv = ["jobctl", "top"]
from jobctl.cli import main
main()
"""


def test_a_defect_becomes_a_report_and_the_terminal_is_as_before(terminal):
    top = terminal(sys.executable, "-c", DEFECT)
    assert ended(top) == 1
    assert top.is_usual
    last = top.read().rpartition(b"\x1b[?1049l")[2]
    assert b"a defect in jobctl; please report it with" in last
    assert b"nobody foresaw this" not in last
