"""What an engine is: it turns a launch into a process that can be waited for and ended."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct

from jobd.contract.directories import File
from jobd.core.transitions import Outcome


class CannotStart(Exception):  # noqa: N818 - named like the reason
    """The command cannot be started; the text says why."""


class NoResources(Exception):  # noqa: N818 - named like the reason
    """The machine has no room for another process just now; nothing has started."""


class Launch(Struct, frozen=True):
    """All that is needed to start one attempt."""

    job: int
    attempt: int
    slot: int
    token: str
    argv: list[bytes]
    cwd: bytes
    umask: int
    environment: dict[bytes, bytes]
    output: File
    nice: int = 0
    stdin: bytes = b""
    """A file to read from; empty: nothing."""
    script: Script | None = None
    """Runs in the place of what `argv[0]` names."""


class Script(Struct, frozen=True):
    """A program that is written to disk for as long as its attempt lasts."""

    file: File
    content: bytes


class Process(Protocol):
    """One started attempt. `wait` belongs to one thread; the rest may come from any."""

    @property
    def pid(self) -> int: ...

    def wait(self) -> Outcome:
        """Block until its leader has ended; its status stays in the kernel until `reap`."""

    def reap(self) -> None:
        """The status is on disk: let the kernel forget it."""

    def signal(self, number: int) -> None:
        """To every process of the job: its group, and what has left it. Raises: OSError."""

    def end(self, deadline: float) -> None:
        """After the leader's end: wait for what is left of it, from `deadline` on with KILL.

        `deadline` is a time of `time.monotonic()`.
        """


class Fate(Enum):
    """What became of an attempt whose process is not there."""

    NEVER_STARTED = "it was on disk, and its process never came to be"
    LOST = "its outcome cannot be known"


class Engine(Protocol):
    """Where jobs run. Any thread may call, but `recover`, which comes once and before any start.

    Promises that an attempt starts at most once, and that what it leaves can be found again.
    """

    def start(self, launch: Launch) -> Process:
        """Start an attempt, at most once. Raises: CannotStart, NoResources."""

    def recover(self, attempts: dict[str, int]) -> dict[str, Process | Fate]:
        """Find what earlier daemons started: token → slot in, token → process or fate out."""

    def signal(self, orders: Sequence[tuple[Process, int]]) -> None:
        """As `Process.signal`, with one look at the machine for all. Raises: OSError."""

    def freeze(self) -> None:
        """Start nothing from now on: this process is about to be replaced."""

    def handles(self) -> dict[str, tuple[int, tuple[float | None, int | None]]]:
        """Token → pidfd, and CPU seconds and peak KiB so far, of what is no child of this process.

        The next daemon needs them.
        """

    def close(self) -> None: ...
