"""`start`: held jobs are let go, and stopped ones pend again."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.models import Acted, Start
from jobd.contract.states import State
from jobd.core.transitions import Move
from jobd.daemon.commands.bulk import Bulk, BulkResult
from jobd.daemon.commands.requeue import Requeue
from jobd.daemon.jobs.admission import Admission
from jobd.daemon.jobs.moves import Moves
from jobd.store.jobs import Jobs
from jobd.store.records import Look


class StartJobs:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(self, bulk: Bulk, moves: Moves, jobs: Jobs, admission: Admission) -> None:
        self._bulk = bulk
        self._moves = moves
        self._jobs = jobs
        self._admission = admission

    def start(self, request: Start, call: Call) -> Acted:
        verb = _Start(self._moves, call.user, jobs=self._jobs, admission=self._admission)
        return self._bulk.act(request.selector, call, verb, dry_run=request.dry_run)


class _Start(Requeue):
    def decide(self, job: Look, result: BulkResult) -> None:
        if job.state is State.PENDING and job.held:
            step = f"name a group of the engine that does: jobctl edit {job.id} --group NAME"
            if not self.is_refused(job, result, step):
                self._moves.released(job, self._user)
                result.done.append(job.id)
        elif job.state in (State.PENDING, State.RUNNING):
            result.notice(job.id, f"is already {job.state}")
        elif job.state is not State.STOPPED:
            result.error(job.id, f"has {job.state}; to run it again: jobctl restart {job.id}")
        else:
            self.requeue(job, Move.RELEASE, result)
