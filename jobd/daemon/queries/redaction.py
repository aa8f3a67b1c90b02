"""What a viewer is not told, all of it here.

A viewer sees jobs, output and history, and no environment, script, recipe or input. What it may ask
for at all, and how it is told of a fault, `jobd.daemon.rpc` says; of the answers this is left out:

    of a job         where its script lay (its name stays), and which file was its input
    of its recipe    everything, also who is told of it
    of a message     where it goes, and why it did not arrive
    of the daemon    where its files lie, and the words of its faults: those are in its owner's log
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from jobd.contract.models import Attempt, DaemonStatus, Delivery, Event, Job, Recipe
from jobd.core.transitions import without_paths
from jobd.daemon.queries.views import Views
from jobd.store.records import AttemptRow, EventRow, JobRow, Parent

_TROUBLE: Final = "a fault that its owner sees: jobd status"


class RedactedViews(Views):
    """Rows as viewers see them."""

    def job(self, row: JobRow, now: int, reason: str | None, parents: Sequence[Parent]) -> Job:
        spec = row.spec
        if spec.packed_script:
            name = os.path.basename(spec.argv[0])
            row = replace(row, spec=replace(spec, argv=[name, *spec.argv[1:]]))
        return super().job(row, now, _plain(reason), parents)

    def attempts(self, job: int, rows: Sequence[AttemptRow]) -> list[Attempt]:
        return super().attempts(job, [replace(row, reason=_plain(row.reason)) for row in rows])

    def event(self, row: EventRow) -> Event:
        event = super().event(row)
        data = {key: value for key, value in event.data.items() if key != "notify"}
        event = replace(event, data=data)
        reason = data.get("reason")
        if not isinstance(reason, str):
            return event
        return replace(event, data={**event.data, "reason": without_paths(reason)})

    def recipe(self, row: JobRow) -> Recipe | None:
        del row
        return None


def _plain(reason: str | None) -> str | None:
    return None if reason is None else without_paths(reason)


def delivery_for_viewers(one: Delivery) -> Delivery:
    """Where it goes, and what a receiver said, may hold what is secret; its title names paths."""
    error = None if one.error is None else _TROUBLE
    title = one.on if one.job is None else f"job {one.job}: {one.on}"
    return replace(one, to="", error=error, title=title)


def status_for_viewers(status: DaemonStatus) -> DaemonStatus:
    error = None if status.error is None else _TROUBLE
    failing = None if status.notifications_error is None else _TROUBLE
    return replace(
        status, socket="", database="", log="", state_dir="", error=error,
        notifications_error=failing,
    )  # fmt: skip
