"""`resume`: paused jobs go on, or a paused group starts jobs again."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.models import Acted, Resume
from jobd.daemon.commands.bulk import BulkResult
from jobd.daemon.commands.halt import Halt, Halting
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.stop_orders import Pauses
from jobd.daemon.jobs.moves import Moves
from jobd.store.records import Look


class ResumeJobs:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(self, halting: Halting, moves: Moves, runs: Runs, pauses: Pauses) -> None:
        self._halting = halting
        self._moves = moves
        self._runs = runs
        self._pauses = pauses

    def resume(self, request: Resume, call: Call) -> Acted:
        """Raises: BadRequest (neither jobs nor a group, or both), NotFound (no such group)."""
        verb = _Resume(self._moves, self._runs, self._pauses, call.user)
        return self._halting.act(request, call, verb, paused=False)


class _Resume(Halt):
    def decide(self, job: Look, result: BulkResult) -> None:
        if job.state.finished:
            result.has_finished(job)
        elif job.paused:
            self.halt(job.id, result, paused=False)
        elif self.repeat(job.id):
            result.notice(job.id, "is not paused; in case it stopped itself, CONT was sent to it")
        else:
            result.notice(job.id, "is not paused")
