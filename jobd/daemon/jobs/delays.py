"""Jobs that wait for a time: woken when the next is due, however many there are.

Only the next time is in memory, in `Readiness`; who is due then the store's index says. Times are
those of the wall clock, but a *delay* is a span: when the clock is set, delays are moved with it,
and times that were asked for as such (`--at`) are not. Whether it was set while no daemon lived is
known as long as the machine has not been booted since.

Over a boot a delay goes by the wall clock: it is over when it would have been. But a machine may
boot with its clock behind (it has no battery, or an empty one), and set it right later. So what was
carried over the boot is not moved with that first jump, which makes the clock right; and while the
clock tells a time that has been before, such a delay takes at most what was left of it.
"""

from __future__ import annotations

import logging
from typing import Final

from jobd.daemon.jobs.readiness import Readiness
from jobd.store.deliveries import Deliveries
from jobd.store.event_log import EventLog
from jobd.store.jobs import Jobs
from jobd.store.settings import Settings
from jobd.store.writer import Writer
from jobd.system import linux
from jobd.system.clock import ClockWatch, is_synchronised, now_us, offset_us
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
_CARRIED: Final = "carried delays"
"""The setting that says by how much those of an earlier boot were moved; empty: none is left."""


class Delays:
    """The writer's thread calls `arm` and `begin`; whoever starts the daemon the rest."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        deliveries: Deliveries,
        event_log: EventLog,
        settings: Settings,
        readiness: Readiness,
        writer: Writer,
        timer: Timer,
    ) -> None:
        self._jobs = jobs
        self._deliveries = deliveries
        self._event_log = event_log
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
        self.follow_clock()
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

    def follow_clock(self) -> None:
        """Move the delays, and note how the clock stands, in one transaction: never twice.

        In that of a starting daemon before anything else is written: of the time of the last event.
        """
        boot, _, known = (self._settings.get(_OFFSET) or "").partition(":")
        offset, this_boot = offset_us(), linux.boot_id()
        if boot != this_boot:
            self._carry_over()
        elif abs(jump := offset - int(known)) >= _JUMP_US:
            log.info("the clock was set by %.1f s: delays move with it", jump / 1e6)
            self._jobs.shift_delays(jump)
            self._deliveries.shift(jump)
            self._put_carried_right()
        self._settings.set(_OFFSET, f"{this_boot}:{offset}")

    def _carry_over(self) -> None:
        """The machine was booted since a daemon was here last."""
        self._put_carried_right()
        behind = (self._event_log.last_at() or 0) - now_us()
        if behind <= 0 and is_synchronised():
            return
        self._jobs.carry_delays()
        if behind > 0:
            log.warning("the clock is %.1f s behind what it was before the boot", behind / 1e6)
            self._jobs.shift_delays(-behind, carried=True)
        self._settings.set(_CARRIED, str(max(0, behind)))

    def _put_carried_right(self) -> None:
        """By the wall clock, which tells the truth now, they are over when they would have been."""
        moved = self._settings.get(_CARRIED)
        if moved:
            self._jobs.shift_delays(int(moved), carried=True)
            self._jobs.settle_carried()
            self._settings.set(_CARRIED, "")
