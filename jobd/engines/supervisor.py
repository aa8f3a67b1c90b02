"""What the supervisor can do for an engine whose attempts are processes of this machine.

When a daemon dies, its children are the supervisor's: how they end, it hears, and they stay until
it is told that this is on disk. Other engines need nothing of it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from jobd.system.linux import Exit


class Ended(NamedTuple):
    """What the supervisor has said of a child."""

    how: Exit
    at: int | None
    """Microseconds since boot; None: an older supervisor does not say it."""


class Supervisor(Protocol):
    """As an engine has it. Any thread may call."""

    last_daemon: tuple[int, int] | None
    """The pid of the daemon before, and the tick (`linux.ticks`) at which it was dead."""

    def settle(self, adopted: set[int]) -> None:
        """These belong to attempts; everybody else who ended, or will end, may be reaped."""

    def wait(self, pid: int) -> Ended:
        """Block until that child has ended."""

    def reap(self, pid: int) -> None:
        """Its end is on disk."""

    def hold(self, token: str, pidfd: int) -> None:
        """A handle of a job that is nobody's child, for us and whoever comes after us."""

    def gone_at(self, token: str, within: float) -> int | None:
        """When the supervisor saw the end of a job that it has but a handle of, microseconds since
        boot; None: it has not said so within so many seconds.
        """

    def let_go(self, token: str) -> None:
        """The end of such a job is on disk: nobody needs the handle any more."""
