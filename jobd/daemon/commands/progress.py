"""`progress`: somebody says for a running job how far it is."""

from __future__ import annotations

from jobd.contract.errors import NotFound, Refused
from jobd.contract.models import Acted, Progress
from jobd.contract.states import State
from jobd.core.progress.recognition import Reading, message_of
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.execution.runs import Reports, Runs
from jobd.store.store import Store
from jobd.system.clock import now_us


class ReportProgress:
    """Called by clients' threads; answers when it is on disk."""

    def __init__(
        self, store: Store, runs: Runs, reports: Reports, idempotency: Idempotency
    ) -> None:
        self._store = store
        self._runs = runs
        self._reports = reports
        self._idempotency = idempotency

    def progress(self, request: Progress, user: str, request_id: bytes) -> Acted:
        """Raises: NotFound, Refused (it does not run)."""
        return self._idempotency.once(request_id, Acted, lambda: self._progress(request, user))

    def _progress(self, request: Progress, user: str) -> Acted:
        look = self._store.look(request.id)
        if look is None:
            raise NotFound(f"job {request.id} does not exist")
        if look.state is not State.RUNNING:
            raise Refused(f"job {request.id} is {look.state}, not running")
        reading = Reading(request.percent, message_of(request.message or ""))
        self._reports.note(self._runs[request.id], reading, user, now_us())
        return Acted(done=[request.id])
