"""The few lines of `status`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from jobctl.render import streams, text, words
from jobctl.render.streams import Painted
from jobd.contract.models import Array, DaemonStatus, Job
from jobd.contract.states import State
from jobd.contract.wording import counted, printable

if TYPE_CHECKING:
    from jobd.contract.overviews import Stuck

_LABEL: Final = 9
"""Columns of what a line is about."""
_HINT_COLUMN: Final = 50
_IDS: Final = 10
"""Ids that are listed before it says that there are more."""
_ORDER: Final = (State.RUNNING, State.PENDING, State.COMPLETED, State.FAILED, State.STOPPED)


def status(
    value: DaemonStatus,
    stuck: Sequence[Stuck],
    waiting: Sequence[Stuck],
    arrays: Sequence[tuple[Job, Array]] = (),
) -> None:
    """Workers, jobs by state, arrays on their way, what waits, what is stuck, and why."""
    _fact("workers", f"{value.busy:,} of {value.workers:,} busy")
    if value.gpus:
        _fact("gpus", f"{value.gpus_busy:,} of {value.gpus:,} in use")
    _fact("jobs", ", ".join(f"{value.jobs.get(state, 0):,} {state.value}" for state in _ORDER))
    _arrays(arrays)
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


def _arrays(found: Sequence[tuple[Job, Array]]) -> None:
    # To a file or a program all of it is told.
    room = streams.width() - _LABEL if streams.on_terminal() else sys.maxsize
    label = "arrays"
    for job, array in found:
        row = words.array_row(job, array, room)
        _fact(label, text.cut(row, room) if streams.on_terminal() else row)
        label = ""


def _entries(label: str, entries: Sequence[Stuck]) -> None:
    for entry in entries:
        said = printable(_sentence(entry))
        padding = " " * max(0, _HINT_COLUMN - text.columns(said))
        hint = f"{padding}  {entry.hint}" if entry.hint else ""
        # What stops the whole queue stands out.
        _fact(label, said if entry.jobs else Painted(said, "red"), hint)
        label = ""


def _fact(label: str, *fact: str | Painted) -> None:
    streams.line(f"{label:<{_LABEL}}", *fact)


def _sentence(entry: Stuck) -> str:
    if not entry.jobs:
        return text.localized(entry.why)
    more = ",…" if entry.more or len(entry.jobs) > _IDS else ""
    return f"{text.selector(entry.jobs[:_IDS])}{more}: {text.localized(entry.why)}"
