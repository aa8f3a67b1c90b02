"""The end of a job is passed on to those that wait for it, a slice of them in each transaction.

    parent            a dependant that waits           one that failed because of it
    completed         has one less to wait for         pends again
    failed, stopped   fails (or: any end is enough)    stays so
    pending again     waits on                         pends again

A dependant that fails or pends again is itself a job that others may wait for. What is still to be
told is on disk, so a crash in between forgets nobody.
"""

from __future__ import annotations

import time
from typing import Final

from jobd.contract.states import State, dependency_failed
from jobd.core.pace import Pace
from jobd.core.transitions import Move, is_met
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.readiness import Readiness
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.store.dependencies import Dependencies
from jobd.store.jobs import Jobs
from jobd.store.records import Look

SLICE: Final = 500
"""Dependants that are told in one transaction, at most; fewer where that takes longer."""
_LEAST: Final = 50
"""The same, at least."""


class Propagation:
    """Called by the writer's thread alone, inside its transaction.

    Promises that nobody is told twice, and nobody forgotten.
    """

    def __init__(
        self,
        jobs: Jobs,
        dependencies: Dependencies,
        waiting: Readiness,
        moves: Moves,
        unsettled: Unsettled,
    ) -> None:
        self._jobs = jobs
        self._dependencies = dependencies
        self._readiness = waiting
        self._moves = moves
        self._unsettled = unsettled
        self._pace = Pace(_LEAST, SLICE)

    def tell(self) -> bool:
        """Tell a slice of those that have to be told; whether there are others."""
        if self._unsettled.some:
            begun = time.monotonic()
            told = self._tell_slice(self._pace.size)
            self._pace.took(told, time.monotonic() - begun)
        return self._unsettled.some

    def _tell_slice(self, size: int) -> int:
        """How many were looked at."""
        left = size
        while self._unsettled.some and left > 0:
            change = self._dependencies.next_change()
            if change is None:
                self._unsettled.none_left()
                break
            left -= self._tell(*change, left)
        return size - left

    def _tell(self, parent: int, behind: int, state: State | None, limit: int) -> int:
        children = self._dependencies.children(parent, behind, limit)
        for child, any_end in children:
            job = self._jobs.look(child, staged=True)
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
        if is_met(state, any_end=any_end):
            self._dependencies.meet(job.id, parent)
            if job.state is State.PENDING:
                self._readiness.change(job, unmet=job.unmet - 1)
            elif because_of_it:
                self._revive(job)
        elif state.finished:
            if job.state is State.PENDING:
                self._moves.failed(job, dependency_failed(parent))
        elif because_of_it:
            self._revive(job)

    def _revive(self, job: Look) -> None:
        """Unless another of those that it waits for has failed, too, or its group is gone."""
        # Nobody has let it go: one that was held stays so.
        obstacle = self._moves.requeued(job, Move.RESTART, held=job.held, staged=True)
        if obstacle is not None and obstacle.failed_parent is not None:
            self._moves.fails_for(job, obstacle.failed_parent)
        # Where its group is gone it stays as it is; `restart` of it says what to do.
