"""`show`: all that is known of one job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from jobd.contract.call import Call
from jobd.contract.errors import NotFound, StoreFailed
from jobd.contract.models import Attempt, Job, Show, Shown
from jobd.contract.states import State
from jobd.daemon.queries.explain_facts import Inquiry
from jobd.daemon.queries.views import JobViews, Views
from jobd.store.reader import Reader
from jobd.store.records import JobRow
from jobd.system.clock import now_us

_HISTORY: Final = 1000
"""Events of one job that are shown."""


class ShowQuery:
    """Clients' threads call."""

    def __init__(self, reader: Reader, inquiry: Inquiry, views: Views, shown: JobViews) -> None:
        self._reader = reader
        self._inquiry = inquiry
        self._views = views
        self._shown = shown

    def show(self, request: Show, _: Call) -> Shown:
        """Raises: NotFound, StoreFailed (its environment is damaged)."""
        row = self._reader.job(request.id)
        if row is None:
            raise NotFound(f"job {request.id} does not exist")
        events = self._reader.events_of(row.id, _HISTORY)
        attempts = self._views.attempts(row.id, self._reader.attempts(row.id))
        return Shown(
            job=_where_it_lies(self._shown.of([row], usage=request.usage)[0], attempts),
            attempts=attempts,
            events=[self._views.event(found) for found in events],
            why=self._inquiry.why(row, now_us() / 1e6) if row.state is State.PENDING else None,
            environment=self._environment(row) if request.environment else None,
            recipe=self._views.recipe(row) if request.recipe else None,
        )

    def _environment(self, row: JobRow) -> dict[bytes, bytes]:
        found = self._reader.environment(row.environment)
        if found is None:
            raise StoreFailed(
                f"the environment of job {row.id} is damaged; give it this shell's: "
                f"jobctl restart {row.id} --refresh-env"
            )
        return found


def _where_it_lies(job: Job, attempts: Sequence[Attempt]) -> Job:
    """Its output may have been compressed."""
    latest = next((one.output_path for one in attempts if one.attempt == job.attempt), None)
    return replace(job, output_path=latest) if latest else job
