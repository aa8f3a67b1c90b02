"""The keeper: one thread that keeps jobs, output, history and database within their limits.

    a job has finished, jobs were removed, events were written, the oldest job is too old
    → a pause, so that one round serves many → (unwanted jobs, some slices of them, then their files
    → a slice of the old end of the history → a few free pages of the database)* until there is no
    more to do → sleep until it is woken again; each slice is a transaction of its own

What is unwanted is found by reading, beside the writer; the writer only looks again whether it is
still so. Without limits nothing wakes it but `rm`, and a history that has grown too long.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import Final

from jobd.contract.errors import JobdError
from jobd.contract.paths import Paths
from jobd.contract.states import Reason, State
from jobd.core.retention import Finished, Kept, Policy
from jobd.daemon.commands.manager import Manager
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.store.database import checkpoint
from jobd.store.dependencies import Dependencies
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.retention import Retained
from jobd.store.writer import Writer
from jobd.system.clock import now_us
from jobd.system.timer import Timer

_PAUSE_S: Final = 0.25
"""Between being woken and looking: what happens meanwhile is one round's work."""
_BREATH_S: Final = 0.005
"""Between two transactions of one round."""
_RETRY_S: Final = 10.0
_CLOSE_S: Final = 2.0
"""How long the end of the daemon waits for a step that is under way."""
_JOBS: Final = 32
"""Jobs removed in one transaction."""
_SLICES: Final = 8
"""Slices of one kind before it is the other kinds' turn."""
_EVENTS: Final = 256
"""Events deleted in one transaction."""
_EVENTS_OVER: Final = 512
"""By so many the history may be longer than its limit before it is shortened."""
_PAGES: Final = 128
"""Pages given back in one transaction."""
_FREE_PAGES: Final = 1024
"""So many free pages are left for what comes next, or a quarter of all if that is more."""

log = logging.getLogger(__name__)


class Surplus:
    """Finished jobs that nobody wants any more: found beside the writer, removed by it."""

    def __init__(
        self,
        *,
        policy: Policy,
        jobs: Jobs,
        dependencies: Dependencies,
        moves: Moves,
        retained: Retained,
        reader: Reader,
        notifier: Notifier,
    ) -> None:
        self._policy = policy
        self._jobs = jobs
        self._dependencies = dependencies
        self._moves = moves
        self._retained = retained
        self._reader = reader
        self._notifier = notifier

    def oldest(self, kept: Kept) -> list[Finished]:
        """A slice of each state of which there are too many. Any thread may ask."""
        return [job for state in self._policy.states(kept) for job in self._oldest(state)]

    def _oldest(self, state: State) -> list[Finished]:
        """A slice, without those that somebody waits for."""
        limit = _JOBS
        while True:
            found = self._reader.oldest_finished(state, limit)
            free = [job for job in found if not self._notifier.awaited(job.id)]
            if len(free) >= _JOBS or len(found) < limit:
                return free[:_JOBS]
            limit *= 4

    def remove(self, chosen: list[Finished]) -> Kept:
        """In a transaction: those that are still unwanted. Gives what is kept then."""
        kept, now = self._retained.kept(), now_us()
        for job in chosen:
            look = self._jobs.look(job.id)
            if look and self._policy.unwanted(job, kept, now) and self._may_go(job):
                self._moves.removed(look, "", Reason.RETENTION)
                kept.lose(job)
        return kept

    def _may_go(self, job: Finished) -> bool:
        """It is as it was found, and no pending job has come to wait for it."""
        return self._retained.still(job) and not self._dependencies.waiting(job.id, 1)


class Pruner:
    """A thread of its own. `events`: how many events are kept; 0: all."""

    def __init__(
        self,
        *,
        paths: Paths,
        policy: Policy,
        surplus: Surplus,
        events: int,
        notifier: Notifier,
        manager: Manager,
        retained: Retained,
        reader: Reader,
        writer: Writer,
        timer: Timer,
    ) -> None:
        self._paths = paths
        self._policy = policy
        self._surplus = surplus
        self._events = events
        self._notifier = notifier
        self._manager = manager
        self._retained = retained
        self._reader = reader
        self._writer = writer
        self._timer = timer
        self._first_event = 0
        self._alarm: float | None = None
        """When the timer wakes us, on the monotonic clock."""
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """The writer and the reader are at work."""
        self._first_event = self._reader.first_event()
        if self._policy:
            self._notifier.on_finish = self._wake
        self._notifier.on_events = self._look_at_history
        self._manager.after_rm = self._wake
        self._wake()
        self._thread.start()

    def close(self) -> None:
        """While the writer still writes."""
        self._closed.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _wake(self) -> None:
        if not self._woken.is_set():
            self._woken.set()

    def _look_at_history(self, last: int) -> None:
        if self._events and last - self._first_event >= self._events + _EVENTS_OVER:
            self._wake()

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
                log.exception("the keeper broke down; it tries again when it is woken")

    def _round(self) -> None:
        """In turn, so that a long history or a large file does not keep jobs from being removed."""
        steps = [
            *([self._remove_jobs] if self._policy else []),
            *([self._forget_events] if self._events else []),
            self._shrink,
        ]
        shrunk = False
        while not self._closed.is_set():
            left = [step for step in steps if step()]
            if not left:
                break
            shrunk = shrunk or self._shrink in left
            self._closed.wait(_BREATH_S)
        if shrunk:
            checkpoint(self._paths.database)

    # --- jobs ---------------------------------------------------------------------------------

    def _remove_jobs(self) -> bool:
        """Some slices of them, then their files; whether there may be more."""
        kept = self._writer.call(self._retained.kept)
        chosen: list[Finished] = []
        for _ in range(_SLICES):
            chosen = self._choose(kept)
            if chosen:
                kept = self._writer.call(partial(self._surplus.remove, chosen))
            if len(chosen) < _JOBS or self._closed.wait(_BREATH_S):
                # Those that finish meanwhile are the next round's.
                break
        self._manager.delete_outputs()
        return len(chosen) == _JOBS

    def _choose(self, kept: Kept) -> list[Finished]:
        """The next slice of unwanted jobs. Behind the last one the timer is set for the next."""
        oldest = self._surplus.oldest(kept)
        chosen = self._policy.choose(oldest, kept, now_us())[:_JOBS]
        if len(chosen) < _JOBS:
            # This was the last slice of the round.
            self._set_alarm(self._policy.next_expiry(job for job in oldest if job not in chosen))
        return chosen

    def _set_alarm(self, at: int | None) -> None:
        """One timer at a time: a later one is not needed while an earlier one is still to come."""
        if at is None:
            return
        now = time.monotonic()
        when = now + max(0.0, (at - now_us()) / 1e6)
        if self._alarm is None or not now < self._alarm <= when:
            self._alarm = when
            self._timer.at(when, self._wake)

    # --- history and file -----------------------------------------------------------------------

    def _forget_events(self) -> bool:
        """Some slices: each job that came and went has left several."""
        for _ in range(_SLICES):
            over = self._notifier.last_event - self._first_event + 1 - self._events
            if over <= 0 or self._closed.is_set():
                return False
            before = self._first_event + min(over, _EVENTS)
            self._writer.call(partial(self._retained.forget_events, before))
            self._first_event = before
        return True

    def _shrink(self) -> bool:
        free, pages = self._reader.free_pages()
        if free <= max(_FREE_PAGES, pages // 4):
            return False
        self._writer.call(lambda: self._retained.shrink(_PAGES))
        return self._reader.free_pages()[0] < free
