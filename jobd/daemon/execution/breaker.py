"""Whether jobs may be started: not while the daemon begins or ends, nor where each would fail.

What the machine refuses (a full disk, no process left, an output directory that cannot be written)
says nothing about a job. It is put back, and after a pause one job is tried; the pauses grow while
that fails, and with the first success all go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jobd.system.timer import Timer

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0
"""Seconds until the next job is tried."""


class Breaker:
    """Any thread may call; `allows` is the writer's."""

    def __init__(self, timer: Timer, released: Callable[[], object]) -> None:
        """Halted until `resume`. `released`: called when jobs may be started again."""
        self._timer = timer
        self._released = released
        self._halted = True
        self._pausing = False
        self._pause_s = _FIRST_S
        self.trouble: str | None = None
        """Why the last job could not be started; None while all is well."""

    def allows(self, already: int) -> bool:
        """Whether one more may be started beside so many in this transaction."""
        return not (self._halted or self._pausing or (self.trouble and already))

    def halt(self) -> None:
        """Start nothing until `resume`."""
        self._halted = True

    def resume(self) -> None:
        self._halted = False
        self._released()

    def refused(self, why: str) -> None:
        """The machine has refused to start a job."""
        self.trouble = why
        if not self._pausing:
            self._pausing = True
            self._timer.after(self._pause_s, self._try_again)
            self._pause_s = min(2 * self._pause_s, _LONGEST_S)

    def _try_again(self) -> None:
        self._pausing = False
        self._released()

    def started(self) -> None:
        """A job was started, or it was its own fault that it was not."""
        if self.trouble is not None:
            self.trouble = None
            self._pause_s = _FIRST_S
            self._released()
