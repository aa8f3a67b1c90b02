"""Pending jobs and what they wait for: who enters the ready queue, and when.

A pending job is held, or waits for others, or for its time, or for nothing but its turn; then, and
only then, it is in the ready queue. Whatever changes one of these goes through here, inside a
transaction of the writer.
"""

from __future__ import annotations

from jobd.contract.states import Reason
from jobd.core.ledger import Ledger
from jobd.core.ready_queue import Entry
from jobd.core.transitions import waiting_reason
from jobd.core.undo import Undo
from jobd.store.batches import Batches
from jobd.store.jobs import Jobs
from jobd.store.records import Look


class Readiness:
    """Called by the writer's thread alone, inside its transaction; `next_due` by any.

    Promises that the ready queue holds just those pending jobs whose reason is `queued`.
    """

    def __init__(self, ledger: Ledger, jobs: Jobs, batches: Batches, undo: Undo) -> None:
        self._ledger = ledger
        self._jobs = jobs
        self._batches = batches
        self._undo = undo
        self.next_due: int | None = None
        """When the first of those that wait for a time is due, microseconds since the epoch."""

    def change(
        self,
        job: Look,
        *,
        held: bool | None = None,
        unmet: int | None = None,
        due: int | None = None,
    ) -> str:
        """What is None stays; `due` 0 means that its time has come. Gives the new reason."""
        before = job
        held = before.held if held is None else held
        unmet = before.unmet if unmet is None else unmet
        when = before.due if due is None else due or None
        reason = waiting_reason(held=held, unmet=unmet, due=when, failures=before.failures)
        self._jobs.waits(before.id, held=held, unmet=unmet, due=when, reason=reason)
        if before.reason is not None and (reason, when) != (before.reason, before.due):
            # Without an event of its own; one that was edited has one.
            self._ledger.moved()
        if before.reason == Reason.QUEUED != reason:
            self._ledger.withdraw(before.entry)
        elif before.reason != Reason.QUEUED == reason and not self._batches.is_staged(before.id):
            self._ledger.admit(before.entry)
        if when is not None and when != before.due:
            self._note(when)
        return reason

    def leave(self, job: Look) -> None:
        """It is pending no longer, or becomes another kind of job."""
        if job.reason == Reason.QUEUED:
            self._ledger.withdraw(job.entry)

    def enter(self, entry: Entry, reason: str, due: int | None) -> None:
        """A job that everybody can see is pending now, for this reason and until this time."""
        if reason == Reason.QUEUED:
            self._ledger.admit(entry)
        if due is not None:
            self._note(due)

    def note_due(self) -> None:
        """Many may have come that wait for a time; the store knows the first of them."""
        due = self._jobs.next_due()
        if due is not None:
            self._note(due)

    def come_due(self, now: int, limit: int) -> None:
        """Jobs whose time has come, the first `limit` of them, wait for it no longer."""
        for job in self._jobs.due(now, limit):
            self.change(job, due=0)
        self._set_next(self._jobs.next_due())

    def _note(self, due: int) -> None:
        if self.next_due is None or due < self.next_due:
            self._set_next(due)

    def _set_next(self, due: int | None) -> None:
        before, self.next_due = self.next_due, due
        self._undo.add(lambda: setattr(self, "next_due", before))
