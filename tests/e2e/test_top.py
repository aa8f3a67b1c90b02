"""`top` with a daemon that leaves and comes back, and on a terminal of its own."""

import asyncio
import contextlib
import os
import pty
import select
import subprocess

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
    """`jobctl top` as the leader of one."""

    def __init__(self, instance):
        leader, follower = pty.openpty()
        os.set_blocking(leader, False)
        self.shown = b""
        self._leader = leader
        self.process = subprocess.Popen(
            [BIN / "jobctl", "top"], stdin=follower, stdout=follower, stderr=follower,
            env={**instance.env, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}, cwd=instance.work,
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

    def press(self, keys):
        os.write(self._leader, keys)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._leader)


@pytest.fixture
def terminal(instance):
    instance.start()
    instance.submit("sleep 100", name="runner")
    made = Terminal(instance)
    yield made
    made.close()


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_it_is_left_and_the_terminal_is_as_before(terminal, key):
    wait_until(lambda: b"runner" in terminal.read(), timeout=60)
    terminal.press(key)
    wait_until(lambda: terminal.read() is not None and terminal.process.poll() is not None, 60)
    assert terminal.process.returncode == 0
    assert b"\x1b[?1049l" in terminal.read(), "the screen that was there before"
    assert b"Traceback" not in terminal.read()
