"""The pruner: one thread that keeps jobs, output, history and database within their limits.

    there are too many jobs, jobs were removed, events were written, the oldest job is too old, or a
    job has finished a while ago
    → a pause, so that one round serves many → (some slices of unwanted jobs, then their files → of
    the old end of the history, and of the removed attempts → of free pages of the database)* until
    there is no more to do
    → sleep until it is woken again

Without limits nothing wakes it but `rm`, and a history that has grown too long.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from jobd.contract.errors import JobdError
from jobd.daemon.jobs.notifier import Listener, Notifier
from jobd.daemon.retention_steps import FreePages, OldEvents, OldJobs, OldPast, Step
from jobd.system.clock import now_us
from jobd.system.timer import Timer

_PAUSE_S: Final = 0.25
"""Between being woken and looking: what happens meanwhile is one round's work."""
_BREATH_S: Final = 0.005
"""Between two transactions of one round."""
_SOON_US: Final = 5_000_000
"""So long the history may be a little longer than its limit, and output take more than it may: one
look serves many.
"""
_RETRY_S: Final = 10.0
_CLOSE_S: Final = 2.0
"""How long the end of the daemon waits for a step that is under way."""
_SLICES: Final = 8
"""Slices of one kind before it is the other kinds' turn."""

log = logging.getLogger(__name__)


class Pruner(Listener):
    """A thread of its own; woken by the notifier and the timer."""

    def __init__(
        self,
        jobs: OldJobs | None,
        events: OldEvents | None,
        past: OldPast | None,
        pages: FreePages,
        notifier: Notifier,
        timer: Timer,
    ) -> None:
        """`jobs`, `events`, `past`: None where there is no limit to them."""
        self._jobs = jobs
        self._events = events
        steps = (jobs, events, past, pages)
        self._steps: list[Step] = [step for step in steps if step is not None]
        self._notifier = notifier
        self._timer = timer
        self._alarm: float | None = None
        """When the timer wakes us, on the monotonic clock."""
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pruner", daemon=True)

    def start(self) -> None:
        """The writer and the reader are at work; there may be something to do by now."""
        self._notifier.subscribe(self)
        self._wake()
        self._thread.start()

    def close(self) -> None:
        """While the writer still writes."""
        self._closed.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    # --- what wakes it ------------------------------------------------------------------------

    def finished(self, job: int) -> None:  # noqa: ARG002 - whichever it is
        self._look_out()

    def released(self) -> None:
        self._look_out()

    def _look_out(self) -> None:
        """A round for each end would cost a busy queue a tenth of its speed."""
        if self._jobs is None:
            return
        if self._jobs.stock.is_crowded():
            self._wake()
        else:
            self._set_alarm(now_us() + self._jobs.stock.patience(_SOON_US))

    def removed(self) -> None:
        self._wake()

    def published(self, last_event: int) -> None:
        if self._events is None:
            return
        if self._events.is_long(last_event):
            self._wake()
        elif self._events.is_over(last_event):
            self._set_alarm(now_us() + _SOON_US)

    def _wake(self) -> None:
        if not self._woken.is_set():
            self._woken.set()

    # --- rounds -------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._woken.wait() and not self._closed.wait(_PAUSE_S):
            self._woken.clear()
            try:
                self._round()
            except JobdError as error:
                log.warning("what is too old stays for now: %s", error)
                self._timer.after(_RETRY_S, self._wake)
            except Exception:
                log.exception("the pruner broke down; it tries again when it is woken")

    def _round(self) -> None:
        """In turn, so that a long history or a large file does not keep jobs from being removed."""
        more = True
        while more and not self._closed.is_set():
            turns = [self._turn(step) for step in self._steps]
            more = any(turns)
        for step in self._steps:
            self._set_alarm(step.next_at())

    def _turn(self, step: Step) -> bool:
        """Some slices of one kind; whether there may be more."""
        for _ in range(_SLICES):
            more = not self._closed.is_set() and step.slice()
            if not more or self._closed.wait(_BREATH_S):
                break
        step.settle()
        return more

    def _set_alarm(self, at: int | None) -> None:
        """One timer at a time: a later one is not needed while an earlier one is still to come."""
        if at is None:
            return
        now = time.monotonic()
        when = now + max(0.0, (at - now_us()) / 1e6)
        if self._alarm is None or not now < self._alarm <= when:
            self._alarm = when
            self._timer.at(when, self._wake)
