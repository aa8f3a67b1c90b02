"""Somebody before a terminal, who types and sees what it shows."""

import fcntl
import os
import pty
import termios
import threading
from contextlib import suppress

from tests.e2e.instance import BIN, PATIENCE, take_terminal
from tests.helpers import wait_until

MODES = termios.ICANON | termios.ECHO


class Seat:
    """A terminal of its own, with a program on it that is its session's leader."""

    def __init__(self, shared, *argv, stdin=None, term="xterm"):
        self._leader, follower = pty.openpty()
        self.before = termios.tcgetattr(self._leader)
        env = {"TERM": term, "NO_COLOR": "1", "PS1": "$ ", "PATH": f"{BIN}:{os.environ['PATH']}"}
        fcntl.ioctl(follower, termios.TIOCSWINSZ, b"\x18\0\x50\0\0\0\0\0")
        self.process = shared.begin(
            *argv, env=env, stdin=follower if stdin is None else stdin, stdout=follower,
            stderr=follower, start_new_session=True,
            preexec_fn=None if stdin is not None else take_terminal,
        )  # fmt: skip
        os.close(follower)
        self.shown = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        with suppress(OSError):  # nobody holds the terminal any more
            while data := os.read(self._leader, 65536):
                self.shown += data

    def type(self, text):
        os.write(self._leader, text)

    def waits_for(self, text, count=1):
        wait_until(lambda: self.shown.count(text) >= count, PATIENCE)

    def reads_keys(self):
        return not termios.tcgetattr(self._leader)[3] & MODES

    def watches(self):
        self.waits_for(b"q leaves")
        wait_until(self.reads_keys)

    def ends(self):
        """Its exit code; the terminal is as it was, and all that was written on it is read."""
        code = self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        assert termios.tcgetattr(self._leader) == self.before
        return code

    def close(self):
        self.process.kill()
        self.process.wait()
        self._thread.join(PATIENCE)
        os.close(self._leader)
