"""The few lines of `status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from jobctl.render import streams, text
from jobctl.render.streams import Painted
from jobd.contract.models import DaemonStatus
from jobd.contract.states import State
from jobd.contract.wording import counted, printable

if TYPE_CHECKING:
    from jobd.contract.reports import Stuck

_HINT_COLUMN: Final = 50
_IDS: Final = 10
"""Ids that are listed before it says that there are more."""
_ORDER: Final = (State.RUNNING, State.PENDING, State.COMPLETED, State.FAILED, State.STOPPED)


def status(value: DaemonStatus, stuck: Sequence[Stuck], waiting: Sequence[Stuck]) -> None:
    """Workers, jobs by state, what waits, what is stuck, and why."""
    _fact("workers", f"{value.busy:,} of {value.workers:,} busy")
    _fact("jobs", ", ".join(f"{value.jobs.get(state, 0):,} {state.value}" for state in _ORDER))
    _entries("waiting", waiting)
    _entries("stuck", stuck)
    if not stuck:
        _fact("stuck", "nothing")
    if value.notifications_failing:
        count = counted(value.notifications_failing, "message")
        why = f": {printable(value.notifications_error)}" if value.notifications_error else ""
        _fact("notify", Painted(f"{count} not delivered{why}", "red"), "  jobctl notifications")
    if value.jobs.get(State.FAILED):
        streams.hint("why they failed: jobctl ls --state failed; again: jobctl restart --failed")


def _entries(label: str, entries: Sequence[Stuck]) -> None:
    for entry in entries:
        said = printable(_sentence(entry))
        padding = " " * max(0, _HINT_COLUMN - text.columns(said))
        hint = f"{padding}  {entry.hint}" if entry.hint else ""
        # What stops the whole queue stands out.
        _fact(label, said if entry.jobs else Painted(said, "red"), hint)
        label = ""


def _fact(label: str, *fact: str | Painted) -> None:
    streams.line(f"{label:<9}", *fact)


def _sentence(entry: Stuck) -> str:
    if not entry.jobs:
        return text.localized(entry.why)
    more = ",…" if entry.more or len(entry.jobs) > _IDS else ""
    return f"{text.selector(entry.jobs[:_IDS])}{more}: {text.localized(entry.why)}"
