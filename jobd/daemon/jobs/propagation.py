"""The end of a job is passed on to those that wait for it, a slice of them in each transaction.

    parent            a dependant that waits           one that failed because of it
    completed         has one less to wait for         pends again
    failed, stopped   fails (or: any end is enough)    stays so
    pending again     waits on                         pends again

A dependant that fails or pends again is itself a job that others may wait for. What is still to be
told is on disk, so a crash in between forgets nobody.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from jobd.contract.states import EventName, State, dependency_failed
from jobd.core.ledger import Ledger
from jobd.core.transitions import Move, after
from jobd.core.undo import Undo
from jobd.daemon.jobs.readiness import Readiness
from jobd.store.dependencies import Dependencies
from jobd.store.store import Look, Store
from jobd.system.clock import now_us

_SLICE: Final = 500
"""Dependants that are told in one transaction."""


class Told(Struct, frozen=True):
    """What a slice has brought."""

    more: bool
    """There are others who have to be told."""
    ended: list[int]
    """Jobs that have failed without having run."""


class Propagation:
    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        dependencies: Dependencies,
        waiting: Readiness,
        undo: Undo,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._dependencies = dependencies
        self._readiness = waiting
        self._undo = undo
        self._ended: list[int] = []
        self._some = False
        """Whether somebody may have to be told; from `look_again` on never falsely False."""

    def changed(self, parent: int) -> None:
        """It has finished, or pends again."""
        if self._dependencies.note_change(parent):
            self._some = True

    def tell(self) -> Told:
        """Tell a slice of those that have to be told."""
        left, self._ended = _SLICE, []
        while self._some and left > 0:
            change = self._dependencies.next_change()
            if change is None:
                self._some = False
                self._undo.add(self.look_again)
                break
            left -= self._tell(*change, left)
        return Told(self._some, self._ended)

    def look_again(self) -> None:
        """There may be some on disk: at the start, or because a transaction was taken back."""
        self._some = True

    def _tell(self, parent: int, behind: int, state: State | None, limit: int) -> int:
        children = self._dependencies.children(parent, behind, limit)
        for child, any_end in children:
            job = self._store.look(child, staged=True)
            if job is not None:
                self._tell_one(job, parent, state, any_end=any_end)
        whole = len(children) < limit
        self._dependencies.told(parent, None if whole else children[-1][0])
        return len(children) + 1

    def _tell_one(self, job: Look, parent: int, state: State | None, *, any_end: bool) -> None:
        if state is None:
            # It was removed meanwhile, and that is no promise of another end.
            return
        because_of_it = job.state is State.FAILED and job.reason == dependency_failed(parent)
        if state is State.COMPLETED or (any_end and state.finished):
            self._dependencies.meet(job.id, parent)
            if job.state is State.PENDING:
                self._readiness.change(job, unmet=job.unmet - 1)
            elif because_of_it:
                self._revive(job)
        elif state.finished:
            if job.state is State.PENDING:
                self._fail(job, dependency_failed(parent))
        elif because_of_it:
            self._revive(job)

    def _fail(self, job: Look, reason: str) -> None:
        now = now_us()
        self._readiness.leave(job)
        self._store.failed_pending(job.id, reason, now)
        self._store.failed_event(job.id, reason, now)
        if not self._store.is_staged(job.id):
            self._ledger.count(job.state, after(job.state, Move.FAIL))
        self._ended.append(job.id)
        self.changed(job.id)

    def _revive(self, job: Look) -> None:
        """Unless another of those that it waits for has failed, too, or its group is gone."""
        unmet, failing = self._dependencies.refresh(job.id)
        if failing is not None:
            self._store.fails_for(job.id, dependency_failed(failing))
            return
        if job.entry.group not in self._ledger.groups:
            # It stays as it is; `restart` of it says what to do.
            return
        now = now_us()
        state = after(job.state, Move.RESTART)
        # Nobody has let it go: one that was held stays so.
        self._store.requeued(job.id, now, unmet=unmet, held=job.held, due=job.due_after(now))
        self._store.event(
            job.id, EventName.RESTARTED, "", now, b'{"attempt":%d}' % (job.attempt + 1)
        )
        if not self._store.is_staged(job.id):
            self._ledger.count(job.state, state)
        fresh = self._store.look(job.id)
        if fresh is not None:
            self._readiness.enter(fresh)
        self.changed(job.id)
