"""How old an attempt is, by this machine's clock.

When it began is told by the clocks of others, a file server's or Slurm's, and those may be wrong. A
time limit goes by the age: so nobody is believed to have begun before it was known not to have.
"""

from __future__ import annotations

import math
import time


class Age:
    """Any thread may call."""

    def __init__(self, since: float = -math.inf) -> None:
        """`since`: it had not begun then, a time of `time.monotonic()`."""
        self._since = since
        self._began: float | None = None

    @property
    def seconds(self) -> float:
        """0.0 before it has begun."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def waited(self, at: float) -> None:
        """It had not begun then, a time of `time.monotonic()`."""
        self._since = max(self._since, at)

    def began(self, at: float) -> None:
        """`at`: as somebody else's clock has it, seconds since the epoch. The first word counts,
        and from here on no clock that is set changes anything.
        """
        if self._began is None:
            now = time.monotonic()
            told = now - max(0.0, time.time() - at)
            self._began = min(now, max(told, self._since))


def monotonic_of(at: float) -> float:
    """A time of this machine's own clock, in seconds since the epoch, as one of
    `time.monotonic()`.
    """
    return time.monotonic() - (time.time() - at)
