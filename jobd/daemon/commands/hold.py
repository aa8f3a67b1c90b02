"""`hold`: pending jobs do not start before they are let go."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.models import Acted, Hold
from jobd.contract.states import State
from jobd.daemon.commands.bulk import Bulk, BulkResult, Verb
from jobd.daemon.jobs.moves import Moves
from jobd.store.records import Look


class HoldJobs:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(self, bulk: Bulk, moves: Moves) -> None:
        self._bulk = bulk
        self._moves = moves

    def hold(self, request: Hold, call: Call) -> Acted:
        return self._bulk.act(
            request.selector, call, _Hold(self._moves, call.user), dry_run=request.dry_run
        )


class _Hold(Verb):
    def __init__(self, moves: Moves, user: str) -> None:
        self._moves = moves
        self._user = user

    def decide(self, job: Look, result: BulkResult) -> None:
        if job.state is State.RUNNING:
            result.error(job.id, f"is running; to halt it: jobctl pause {job.id}")
        elif job.state is not State.PENDING:
            result.has_finished(job)
        elif job.held:
            result.notice(job.id, "is already held")
        else:
            self._moves.held(job, self._user)
            result.done.append(job.id)
