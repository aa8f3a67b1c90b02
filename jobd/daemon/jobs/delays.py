"""Jobs that wait for a time: woken when the next is due, however many there are.

Only the next time is in memory, in `Readiness`; who is due then the store's index says. Times are
those of the wall clock, but a *delay* is a span: when the clock is set, delays are moved with it,
and times that were asked for as such (`--at`) are not. Whether it was set while no daemon lived is
known as long as the machine has not been booted since.
"""

from __future__ import annotations

import logging
from typing import Final

from jobd.daemon.jobs.readiness import Readiness
from jobd.store.jobs import Jobs
from jobd.store.settings import Settings
from jobd.store.writer import Writer
from jobd.system import linux
from jobd.system.clock import ClockWatch, now_us, offset_us
from jobd.system.timer import Deadline, Timer

log = logging.getLogger(__name__)
_SLICE: Final = 500
"""Jobs that become due in one transaction."""
_LONGEST_S: Final = 86_400.0
_RETRY_S: Final = 1.0
_JUMP_US: Final = 500_000
"""A smaller step of the wall clock is none: clocks are slewed, not set, for so little."""
_OFFSET: Final = "clock"
"""The setting that holds boot id and offset of the wall clock."""


class Delays:
    """The writer's thread calls `arm` and `begin`; whoever starts the daemon the rest."""

    def __init__(
        self, jobs: Jobs, settings: Settings, readiness: Readiness, writer: Writer, timer: Timer
    ) -> None:
        self._jobs = jobs
        self._settings = settings
        self._readiness = readiness
        self._writer = writer
        self._timer = timer
        self._clock = ClockWatch(self._clock_set)
        self._deadline: Deadline | None = None

    def arm(self) -> None:
        """After a commit: wake up when the next job is due."""
        due, deadline = self._readiness.next_due, self._deadline
        if due is None or (deadline is not None and deadline.tag == due):
            return
        if deadline is not None:
            deadline.cancel()
        wait = min(max(0.0, (due - now_us()) / 1e6), _LONGEST_S)
        self._deadline = self._timer.after(wait, self._wake, tag=due)

    def begin(self) -> None:
        """In a transaction of a starting daemon: what has happened to times meanwhile."""
        self._follow_clock()
        self._slice()

    def start(self) -> None:
        """Wake up for the next job from now on, and whenever the clock is set."""
        self.arm()
        self._clock.start()

    def close(self) -> None:
        self._clock.close()

    # --- times that come --------------------------------------------------------------------

    def _wake(self) -> None:
        self._writer.post(
            self._slice,
            lambda _: self.arm(),
            lambda _: self._timer.after(_RETRY_S, self._wake),
        )

    def _slice(self) -> None:
        self._readiness.come_due(now_us(), _SLICE)
        if self._deadline is not None:
            # Armed anew after the commit, by the clock as it is then.
            self._deadline.cancel()
            self._deadline = None

    # --- a clock that is set ------------------------------------------------------------------

    def _clock_set(self) -> None:
        self._writer.post(
            self.begin,
            lambda _: self.arm(),
            lambda _: self._timer.after(_RETRY_S, self._clock_set),
        )

    def _follow_clock(self) -> None:
        """Move the delays, and note how the clock stands, in one transaction: never twice."""
        boot, _, known = (self._settings.get(_OFFSET) or "").partition(":")
        offset, this_boot = offset_us(), linux.boot_id()
        if boot == this_boot and abs(jump := offset - int(known)) >= _JUMP_US:
            log.info("the clock was set by %.1f s: delays move with it", jump / 1e6)
            self._jobs.shift_delays(jump)
        self._settings.set(_OFFSET, f"{this_boot}:{offset}")
