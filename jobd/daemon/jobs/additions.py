"""New jobs, with all that follows from their coming, in three steps.

    written → announced → revealed

Their rows are on disk after the first, their events after the second; after the third they count,
and those that wait for nothing have their turn. From then on `moves` has whatever becomes of them.
Nobody else adds a job, or writes an event of its coming.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobd.contract.states import State
from jobd.core.ledger import Ledger
from jobd.core.ready_queue import Entry
from jobd.daemon.jobs.readiness import Readiness
from jobd.daemon.jobs.tally import Tally
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.store.batches import Batches
from jobd.store.dependencies import Dependencies
from jobd.store.event_log import EventLog
from jobd.store.records import Parent, Spec, Terms
from jobd.system.clock import now_us

_ONE_BY_ONE: Final = 10_000
"""Jobs of a batch that have an event each: all are written in the step that reveals them."""


class Additions:
    """Called by the writer's thread alone, inside its transaction.

    What a method says has happened is on disk and in memory when the transaction is committed, and
    in neither when it is taken back. No method looks whether the queue can take the jobs, or
    whether the step before has been taken: that is for the caller, before.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        batches: Batches,
        event_log: EventLog,
        dependencies: Dependencies,
        readiness: Readiness,
        unsettled: Unsettled,
        tally: Tally,
    ) -> None:
        self._ledger = ledger
        self._batches = batches
        self._event_log = event_log
        self._dependencies = dependencies
        self._readiness = readiness
        self._unsettled = unsettled
        self._tally = tally

    def written(
        self, first: int, specs: Sequence[Spec], terms: Terms, parents: Sequence[Parent], now: int
    ) -> None:
        """New jobs with consecutive ids from `first` on; nobody sees them before `revealed`.

        `now`: microseconds since the epoch, as the terms have it. They are written as failed where
        a job that they wait for has failed already.
        """
        self._batches.insert_jobs(first, specs, terms, now)
        self._dependencies.add(range(first, first + len(specs)), parents)

    def written_elements(
        self,
        array: int,
        first: int,
        indexes: range,
        terms: Terms,
        parents: Sequence[Parent],
        *,
        now: int,
    ) -> None:
        """As `written`, of some elements of an array."""
        self._batches.insert_elements(array, first, indexes, terms, now)
        self._dependencies.add(range(first, first + len(indexes)), parents)

    def announced(self, first: int, last: int, user: str, *, array: bool, failed: bool) -> None:
        """New jobs are all written: their events are, too, and not before.

        An array, and a very long batch, has one event. `failed`: some may have at once.
        """
        now, count = now_us(), last - first + 1
        if array:
            self._event_log.submitted_as_one(first, user, now, {"last": last})
        elif count > _ONE_BY_ONE:
            self._event_log.submitted_as_one(first, user, now, {"last": last, "jobs": count})
        else:
            self._event_log.submitted(first, count, user, now)
        if failed:
            self._event_log.failed_at_once(first, last, now)

    def revealed(
        self, first: int, last: int, alike: Entry | None = None, *, linked: bool = False
    ) -> None:
        """New jobs become visible: they count, and those that wait for nothing get their turn.

        `alike`: the first of them, where all pend and wait for nothing but their turn.
        `linked`: some of them may wait for others of them.
        """
        if alike is not None:
            self._tally.count(alike.group, None, State.PENDING, last - first + 1)
            self._ledger.admit_range(alike, last)
            return
        # What each of them waits for is on disk, and may have changed since it was written.
        self._tally.came(self._batches.counts_in(first, last))
        for entry, end in self._batches.ready_in(first, last):
            self._ledger.admit_range(entry, end)
        self._readiness.note_due()
        for job in self._batches.failed_in(first, last) if linked else ():
            # A job that this one waited for had failed before; its own children hear of it.
            self._unsettled.note(job)
