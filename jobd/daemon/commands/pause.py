"""`pause`: running jobs stand still, or a group starts nothing any more."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.models import Acted, Pause
from jobd.contract.states import State
from jobd.daemon.commands.bulk import BulkResult
from jobd.daemon.commands.halt import Halt, Halting
from jobd.daemon.execution.runs import Runs, whose
from jobd.daemon.execution.stop_orders import Pauses
from jobd.daemon.jobs.moves import Moves
from jobd.store.records import Look


class PauseJobs:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(self, halting: Halting, moves: Moves, runs: Runs, pauses: Pauses) -> None:
        self._halting = halting
        self._moves = moves
        self._runs = runs
        self._pauses = pauses

    def pause(self, request: Pause, call: Call) -> Acted:
        """Raises: BadRequest (neither jobs nor a group, or both), NotFound (no such group)."""
        # What cannot stand still must not be said to; that it cannot shows a look at the machine.
        self._pauses.look(self._runs)
        verb = _Pause(self._moves, self._runs, self._pauses, call.user)
        return self._halting.act(request, call, verb, paused=True)


class _Pause(Halt):
    def decide(self, job: Look, result: BulkResult) -> None:
        if job.state is State.PENDING:
            result.error(job.id, f"is pending; to keep it from starting: jobctl hold {job.id}")
        elif job.state is not State.RUNNING:
            result.has_finished(job)
        elif job.paused:
            self.repeat(job.id)
            result.notice(job.id, "is already paused")
        elif refusals := self._runs[job.id].refusals:
            result.error(job.id, f"cannot be paused: {whose(refusals)}")
        else:
            self.halt(job.id, result, paused=True)
