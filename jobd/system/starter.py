"""Who started the supervisor and is told how it goes: `jobd start`, or systemd.

`jobd start` reads lines at the other end of a pipe; systemd gets datagrams (sd_notify(3)) and,
where it has a watchdog, one in half of its time. Standard library only; nothing here can fail.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

SERVICE_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM")
"""What systemd tells the processes of a service; nobody whom they start is to go by it."""


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell systemd, if that started us."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)  # noqa: FBT003
        sock.sendto("\n".join(lines).encode(), address)


def hand_over(pid: int) -> None:
    """Tell systemd that the service goes on as the supervisor with this pid.

    That goes by the watchdog that it was started with, whatever the unit says by now: told of
    another one, systemd would soon miss its signs of life and kill it.
    """
    lines = ["READY=1", f"MAINPID={pid}"]
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environ:
        begun = dict(entry.partition(b"=")[::2] for entry in environ.read().split(b"\0"))
        lines.append(f"WATCHDOG_USEC={begun.get(b'WATCHDOG_USEC', b'0').decode()}")
    notify(*lines)


def is_service(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether systemd has started us, and waits to hear of it."""
    return "NOTIFY_SOCKET" in environ


def is_of_our_service(pid: int) -> bool:
    """Whether a process is in the control group that we are in (cgroups(7))."""
    try:
        with open("/proc/self/cgroup") as ours, open(f"/proc/{pid}/cgroup") as theirs:
            return ours.read() == theirs.read()
    except OSError:
        return False


class Watchdog:
    """When systemd is to hear that the supervisor lives, and when the daemon counts as hung.

    Without a watchdog of systemd nothing is ever due, and nobody wakes up.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        period = environ.get("WATCHDOG_USEC", "")
        self._every = int(period) / 2e6 if period.isdecimal() and int(period) else None
        self._next = time.monotonic()
        self._asked: float | None = None
        self._knows = False

    @property
    def left(self) -> float | None:
        """Seconds until something is due; None: never."""
        return None if self._every is None else max(0.0, self._next - time.monotonic())

    def is_due(self) -> bool:
        """Whether systemd is to be told, and the daemon to be asked, now; once in half a period."""
        now = time.monotonic()
        if self._every is None or now < self._next:
            return False
        self._next = now + self._every
        return True

    def asked(self) -> None:
        """The daemon was asked whether it lives."""
        if self._asked is None:
            self._asked = time.monotonic()

    def answered(self) -> None:
        """It does."""
        self._asked, self._knows = None, True

    def forget(self) -> None:
        """There is another daemon, which may not know the question."""
        self._asked, self._knows = None, False

    def is_hung(self) -> bool:
        """Whether the daemon has answered before, and not for a whole period."""
        if self._every is None or self._asked is None or not self._knows:
            return False
        return time.monotonic() - self._asked >= 2 * self._every


class Starter:
    """Told by the supervisor."""

    def __init__(self, ready_fd: int | None) -> None:
        """`ready_fd`: the pipe to `jobd start`, if that waits."""
        self._ready_fd = ready_fd
        self.watchdog = Watchdog()

    def tell(self, line: str) -> None:
        """The first word of the first line counts at the other end of the pipe.

        After bad news the pipe stays open: its end says that we are gone.
        """
        word, _, rest = line.partition(" ")
        if word == "ready":
            notify("READY=1", f"MAINPID={os.getpid()}", f"STATUS=Takes jobs; daemon: pid {rest}")
        elif word == "failed":
            notify(f"STATUS={rest}")
        if self._ready_fd is None:
            return
        with suppress(OSError):
            os.write(self._ready_fd, line.encode() + b"\n")
        if word == "ready":
            os.close(self._ready_fd)
            self._ready_fd = None
