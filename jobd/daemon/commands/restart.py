"""`restart`: finished jobs pend again, under the same ids."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.models import Acted, Restart
from jobd.contract.states import State
from jobd.core.transitions import Move
from jobd.daemon.commands.bulk import Bulk, BulkResult
from jobd.daemon.commands.requeue import Requeue
from jobd.daemon.jobs.admission import Admission
from jobd.daemon.jobs.moves import Moves
from jobd.store.event_log import EventLog
from jobd.store.jobs import Jobs
from jobd.store.records import Look


class RestartJobs:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(
        self, bulk: Bulk, moves: Moves, jobs: Jobs, event_log: EventLog, admission: Admission
    ) -> None:
        self._bulk = bulk
        self._moves = moves
        self._jobs = jobs
        self._admission = admission
        self._event_log = event_log

    def restart(self, request: Restart, call: Call) -> Acted:
        verb = _Restart(
            self._moves, call.user, jobs=self._jobs, admission=self._admission,
            event_log=self._event_log, request=request,
        )  # fmt: skip
        return self._bulk.act(request.selector, call, verb, dry_run=request.dry_run)


class _Restart(Requeue):
    # What has moved may have come back by itself, with a job that it waits for.
    spares_moved = False

    def __init__(
        self, moves: Moves, user: str, *, jobs: Jobs, admission: Admission, event_log: EventLog,
        request: Restart,
    ) -> None:  # fmt: skip
        super().__init__(moves, user, jobs=jobs, admission=admission)
        self._event_log = event_log
        self._environment = request.environment
        self._states = request.selector.states
        """Those by which jobs were chosen, if by any."""

    def decide(self, job: Look, result: BulkResult) -> None:
        if job.parents and self._event_log.came_back(job.id, result.since or 0):
            pends = self._came_back(job, result)
        else:
            pends = self._restart(job, result)
        if pends and self._environment is not None:
            self._jobs.renew_environment(job.id, job.environment, self._environment)

    def _came_back(self, job: Look, result: BulkResult) -> bool:
        """A job that it waits for was restarted in an earlier slice, and so was it: never twice.

        Whether it still pends.
        """
        pends = job.state is State.PENDING
        result.done.append(job.id)
        result.attempts[job.id] = job.attempt + pends
        return pends

    def _restart(self, job: Look, result: BulkResult) -> bool:
        """Whether it pends again. Somebody else may have restarted it since it was chosen."""
        if job.state is State.PENDING:
            result.notice(job.id, "is already pending")
        elif job.state is State.RUNNING and self._states:
            result.notice(job.id, "is already running")
        elif job.state is State.RUNNING:
            result.error(job.id, f"is running; stop it first: jobctl stop {job.id}")
        elif self._states and job.state not in self._states:
            result.has_moved(job)
        else:
            return self.requeue(job, Move.RESTART, result)
        return False
