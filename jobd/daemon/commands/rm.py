"""`rm`: finished jobs go, with their output and their history."""

from __future__ import annotations

from collections.abc import Callable

from jobd.contract.call import Call
from jobd.contract.models import Acted, Rm
from jobd.daemon.commands.bulk import Bulk, BulkResult, Verb
from jobd.daemon.commands.deletion import Deletion
from jobd.daemon.commands.dependants import Dependants
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.store.dependencies import Dependencies
from jobd.store.records import Look


class RemoveJobs:
    """Called by clients' threads; what it answers is on disk, and the files are deleted."""

    def __init__(
        self,
        bulk: Bulk,
        moves: Moves,
        dependencies: Dependencies,
        deletion: Deletion,
        notifier: Notifier,
        told: Callable[[], object],
    ) -> None:
        """`told`: waits until messages about what has happened by now are on their way."""
        self._bulk = bulk
        self._moves = moves
        self._dependencies = dependencies
        self._deletion = deletion
        self._notifier = notifier
        self._told = told

    def rm(self, request: Rm, call: Call) -> Acted:
        verb = _Rm(self._moves, Dependants(self._dependencies), call.user)
        if not request.dry_run:
            self._told()
        acted = self._bulk.act(request.selector, call, verb, dry_run=request.dry_run)
        if not request.dry_run:
            self._deletion.delete_outputs()
            self._notifier.removed()
        return acted


class _Rm(Verb):
    def __init__(self, moves: Moves, dependants: Dependants, user: str) -> None:
        self._moves = moves
        self._dependants = dependants
        self._user = user

    def decide(self, job: Look, result: BulkResult) -> None:
        if not job.state.finished:
            result.error(job.id, f"is {job.state}; stop it first, or use rm --force")
        elif not self._dependants.keep(job.id, result):
            self._moves.removed(job, self._user)
            result.done.append(job.id)
