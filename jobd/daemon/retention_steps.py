"""What retention does, a step a kind, each in slices: one transaction, brief for the writer.

What is unwanted is found by reading, beside the writer; the writer only looks again whether it is
still so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from jobd.contract.states import FINISHED, Reason, State
from jobd.core.ledger import Ledger
from jobd.core.retention import Finished, Kept, Policy
from jobd.daemon.commands.deletion import Deletion
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.store.database import checkpoint
from jobd.store.dependencies import Dependencies
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.retention import Retained
from jobd.store.writer import Writer
from jobd.system.clock import now_us

_JOBS: Final = 32
"""Jobs removed in one transaction."""
_EVENTS: Final = 256
"""Events, or attempts of removed jobs, deleted in one transaction."""
_EVENTS_OVER: Final = 512
"""By so many the history may be longer than its limit before it is shortened."""
_PAGES: Final = 128
"""Pages given back in one transaction."""
_FREE_PAGES: Final = 1024
"""So many free pages are left for what comes next, or a quarter of all if that is more."""


class Step(Protocol):
    """Called by the pruner's thread alone. Each may raise JobdError: it is tried again later."""

    def slice(self) -> bool:
        """Do a little of it; whether there may be more."""

    def settle(self) -> None:
        """After some slices: what belongs to them and needs no transaction."""

    def next_at(self) -> int | None:
        """When there will be more to do by the clock alone, microseconds since the epoch."""


class Stock:
    """How much is kept of finished jobs, and how much of them is wanted."""

    def __init__(self, policy: Policy, ledger: Ledger, retained: Retained, writer: Writer) -> None:
        """Before the writer starts: in its connection the output is added up, if need be."""
        self.policy = policy
        self._ledger = ledger
        self._retained = retained
        self._writer = writer
        if policy.measures_output:
            retained.watch()

    def is_crowded(self) -> bool:
        """Whether there are more jobs than wanted. Any thread may ask."""
        return self.policy.too_many(self._ledger.counts)

    def patience(self, most: int) -> int:
        """How many microseconds after an end, `most` at most, it can be too old."""
        return min(most, self.policy.soonest or most)

    def seen(self) -> Kept:
        """From outside of the writer: a transaction that is under way may still be taken back.

        Raises: StoreFailed.
        """
        return self._writer.call(self.counted) if self.policy.measures_output else self.counted()

    def counted(self) -> Kept:
        """In a transaction."""
        jobs = {state: self._ledger.counts[state] for state in FINISHED}
        output = self._retained.output() if self.policy.measures_output else {}
        return Kept(jobs, dict.fromkeys(FINISHED, 0) | output)


class OldJobs:
    """Finished jobs that nobody wants any more, with their output."""

    def __init__(
        self,
        *,
        stock: Stock,
        jobs: Jobs,
        dependencies: Dependencies,
        moves: Moves,
        retained: Retained,
        reader: Reader,
        writer: Writer,
        notifier: Notifier,
        deletion: Deletion,
        needed: Callable[[], int | None],
    ) -> None:
        """`needed`: the first event of the history that somebody has still to read."""
        self.stock = stock
        self._jobs = jobs
        self._dependencies = dependencies
        self._moves = moves
        self._retained = retained
        self._reader = reader
        self._writer = writer
        self._notifier = notifier
        self._deletion = deletion
        self._needed = needed
        self._kept: Kept | None = None
        """What is kept after the last slice of this turn."""
        self._next_at: int | None = None

    def slice(self) -> bool:
        # Until this slice is through, nothing is known: should it fail, the next one counts anew.
        kept, self._kept = self._kept or self.stock.seen(), None
        oldest = [job for state in self.stock.policy.states(kept) for job in self._oldest(state)]
        unwanted = self.stock.policy.choose(oldest, kept, now_us())
        chosen, removed = unwanted[:_JOBS], 0
        if chosen:
            self._kept, removed = self._writer.call(partial(self._remove, chosen))
        # Where none may go yet, whoever they are kept for says when they may.
        is_last = len(chosen) < _JOBS or not removed
        if is_last:
            # Those that finish meanwhile are the next round's.
            self._next_at = self.stock.policy.next_expiry(
                job for job in oldest if job not in unwanted
            )
        return not is_last

    def settle(self) -> None:
        self._kept = None
        self._deletion.delete_outputs()

    def next_at(self) -> int | None:
        return self._next_at

    def _oldest(self, state: State) -> list[Finished]:
        """A slice, without those that somebody waits for."""
        limit = _JOBS
        while True:
            found = self._reader.oldest_finished(state, limit)
            free = [job for job in found if not self._notifier.awaited(job.id)]
            if len(free) >= _JOBS or len(found) < limit:
                return free[:_JOBS]
            limit *= 4

    def _remove(self, chosen: list[Finished]) -> tuple[Kept, int]:
        """In a transaction: those that are still unwanted. Gives what is kept then, and how many
        are gone.
        """
        kept, now, removed = self.stock.counted(), now_us(), 0
        for job in chosen:
            look = self._jobs.look(job.id)
            if look and self.stock.policy.unwanted(job, kept, now) and self._may_go(job):
                self._moves.removed(look, "", Reason.RETENTION)
                kept.lose(job)
                removed += 1
        return kept, removed

    def _may_go(self, job: Finished) -> bool:
        """It is as it was found, no pending job has come to wait for it, and whoever is told of
        its end needs it no more.
        """
        if not self._retained.still(job) or self._dependencies.waiting(job.id, 1):
            return False
        needed = self._needed()
        return needed is None or self._retained.last_event(job.id) < needed


class OldEvents:
    """The old end of the history."""

    def __init__(
        self,
        most: int,
        needed: Callable[[], int | None],
        notifier: Notifier,
        retained: Retained,
        reader: Reader,
        writer: Writer,
    ) -> None:
        """`most`: how many events are kept. `needed`: the first that somebody has still to read."""
        self._most = most
        self._needed = needed
        self._notifier = notifier
        self._retained = retained
        self._reader = reader
        self._writer = writer
        self._first: int | None = None
        """The number of the first event that is kept; None: not known yet."""

    def slice(self) -> bool:
        if self._first is None:
            self._first = self._reader.first_event()
        over = self._notifier.last_event - self._first + 1 - self._most
        needed = self._needed()
        if needed is not None:
            over = min(over, needed - self._first)
        if over <= 0:
            return False
        before = self._first + min(over, _EVENTS)
        self._writer.call(partial(self._retained.forget_events, before))
        self._first = before
        return True

    def settle(self) -> None:
        """Nothing is left over."""

    def next_at(self) -> int | None:
        return None

    def is_long(self, last: int) -> bool:
        """Whether it is worth the while, `last` being the number of the last event."""
        return self._first is None or last - self._first >= self._most + _EVENTS_OVER

    def is_over(self, last: int) -> bool:
        """Whether it is longer than it may be for long."""
        return self._first is None or last - self._first >= self._most


class OldPast:
    """Of the attempts of removed jobs those whose jobs were removed first."""

    def __init__(self, most: int, retained: Retained, reader: Reader, writer: Writer) -> None:
        """`most`: how many are kept."""
        self._most = most
        self._retained = retained
        self._reader = reader
        self._writer = writer

    def slice(self) -> bool:
        first, last = self._reader.past_bounds()
        over = last - first + 1 - self._most
        if over <= 0:
            return False
        before = first + min(over, _EVENTS)
        self._writer.call(partial(self._retained.forget_past, before))
        return True

    def settle(self) -> None:
        """Nothing is left over."""

    def next_at(self) -> int | None:
        return None


class FreePages:
    """Room in the database that nothing needs goes back to the file system."""

    def __init__(self, database: Path, retained: Retained, reader: Reader, writer: Writer) -> None:
        self._database = database
        self._retained = retained
        self._reader = reader
        self._writer = writer
        self._shrunk = self._more = False

    def slice(self) -> bool:
        free, pages = self._reader.free_pages()
        self._more = False
        if free > max(_FREE_PAGES, pages // 4):
            self._writer.call(lambda: self._retained.shrink(_PAGES))
            self._shrunk = True
            self._more = self._reader.free_pages()[0] < free
        return self._more

    def settle(self) -> None:
        """The file itself becomes shorter once the log is in it."""
        if self._shrunk and not self._more:
            self._shrunk = False
            checkpoint(self._database)

    def next_at(self) -> int | None:
        return None
