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
from typing import Final

from jobd.contract.errors import JobdError
from jobd.daemon.jobs.notifier import Notifier, Subscriber
from jobd.daemon.retention_steps import FreePages, OldEvents, OldJobs, OldPast, Step
from jobd.system.clock import now_us
from jobd.system.rounds import Bell, Rounds

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


class Pruner(Subscriber):
    """A thread of its own; woken by the notifier, and when something will be too old."""

    def __init__(
        self,
        jobs: OldJobs | None,
        events: OldEvents | None,
        past: OldPast | None,
        pages: FreePages,
        notifier: Notifier,
    ) -> None:
        """`jobs`, `events`, `past`: None where there is no limit to them."""
        self._jobs = jobs
        self._events = events
        steps = (jobs, events, past, pages)
        self._steps: list[Step] = [step for step in steps if step is not None]
        self._notifier = notifier
        self._bell = Bell()
        self._rounds = Rounds("pruner", self._make, self._bell, gather_s=_PAUSE_S)

    def start(self) -> None:
        """The writer and the reader are at work; there may be something to do by now."""
        self._notifier.subscribe(self)
        self._bell.ring()
        self._rounds.start()

    def close(self) -> None:
        """While the writer still writes."""
        self._rounds.close(_CLOSE_S)

    # --- what wakes it ------------------------------------------------------------------------

    def finished(self, job: int) -> None:  # noqa: ARG002 - whichever it is
        self._look_out()

    def released(self) -> None:
        self._look_out()
        # What had been read by nobody yet, so that it had to stay, may go.
        self.published(self._notifier.last_event)

    def _look_out(self) -> None:
        """A round for each end would cost a busy queue a tenth of its speed."""
        if self._jobs is None:
            return
        if self._jobs.stock.is_crowded():
            self._bell.ring()
        else:
            self._bell.ring_in(self._jobs.stock.patience(_SOON_US) / 1e6)

    def removed(self) -> None:
        self._bell.ring()

    def published(self, last_event: int) -> None:
        if self._events is None:
            return
        if self._events.is_long(last_event):
            self._bell.ring()
        elif self._events.is_over(last_event):
            self._bell.ring_in(_SOON_US / 1e6)

    # --- rounds -------------------------------------------------------------------------------

    def _make(self) -> float | None:
        try:
            return self._round()
        except JobdError as error:
            log.warning("what is too old stays for now: %s", error)
            return _RETRY_S

    def _round(self) -> float | None:
        """In turn, so that a long history or a large file does not keep jobs from being removed."""
        more = True
        while more and not self._rounds.closed:
            turns = [self._turn(step) for step in self._steps]
            more = any(turns)
        times = [at for step in self._steps if (at := step.next_at()) is not None]
        return max(0.0, (min(times) - now_us()) / 1e6) if times else None

    def _turn(self, step: Step) -> bool:
        """Some slices of one kind; whether there may be more."""
        for _ in range(_SLICES):
            more = not self._rounds.closed and step.slice()
            if not more or self._rounds.rest(_BREATH_S):
                break
        step.settle()
        return more
