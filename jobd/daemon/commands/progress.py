"""`progress`: somebody says for a running job how far it is."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.errors import NotFound, Refused
from jobd.contract.models import Acted, Progress
from jobd.contract.states import State
from jobd.core.progress.recognition import Reading, message_of
from jobd.daemon.execution.progress_reports import ProgressReports
from jobd.daemon.execution.runs import Runs
from jobd.store.jobs import Jobs
from jobd.system.clock import now_us


class ReportProgress:
    """In a transaction of the writer."""

    def __init__(self, jobs: Jobs, runs: Runs, progress_reports: ProgressReports) -> None:
        self._jobs = jobs
        self._runs = runs
        self._progress_reports = progress_reports

    def progress(self, request: Progress, call: Call) -> Acted:
        """Raises: NotFound, Refused (it does not run)."""
        look = self._jobs.look(request.id)
        if look is None:
            raise NotFound(f"job {request.id} does not exist")
        if look.state is not State.RUNNING:
            raise Refused(f"job {request.id} is {look.state}, not running")
        reading = Reading(request.percent, message_of(request.message or ""))
        self._progress_reports.note(self._runs[request.id], reading, call.user, now_us())
        return Acted(done=[request.id])
