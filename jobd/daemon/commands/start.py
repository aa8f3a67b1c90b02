"""`start`: held jobs are let go, and stopped ones pend again."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.models import Acted, Start
from jobd.contract.states import State
from jobd.core.transitions import Move
from jobd.daemon.commands.bulk import Bulk, Tally
from jobd.daemon.commands.requeue import Requeue
from jobd.daemon.jobs.moves import Moves
from jobd.store.records import Look


class StartJobs:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(self, bulk: Bulk, moves: Moves) -> None:
        self._bulk = bulk
        self._moves = moves

    def start(self, request: Start, call: Call) -> Acted:
        return self._bulk.act(
            request.selector, call, _Start(self._moves, call.user), dry_run=request.dry_run
        )


class _Start(Requeue):
    def decide(self, job: Look, tally: Tally) -> None:
        if job.state is State.PENDING and job.held:
            self._moves.released(job, self._user)
            tally.done.append(job.id)
        elif job.state in (State.PENDING, State.RUNNING):
            tally.notice(job.id, f"is already {job.state}")
        elif job.state is not State.STOPPED:
            tally.error(job.id, f"has {job.state}; to run it again: jobctl restart {job.id}")
        else:
            self.requeue(job, Move.RELEASE, tally)
