"""`--notify-when-all`: whether all jobs of a submission, a group or a tag have ended, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from jobd.contract.exit_codes import exit_code_of
from jobd.contract.models import Job
from jobd.contract.states import FINISHED, UNFINISHED, State
from jobd.contract.wording import counted
from jobd.core.notification import text
from jobd.core.notification.message import ALL_ENDED, Message
from jobd.core.progress.last_line import WINDOW, last_line
from jobd.daemon.queries.views import JobViews
from jobd.outputs.workspace import Workspaces
from jobd.store.deliveries import Planned
from jobd.store.delivery_reader import DeliveryReader
from jobd.store.reader import Reader
from jobd.store.records import Filter, Gathering, JobRow
from jobd.system.clock import now_us

_NAMED: Final = 10
"""Jobs that did not complete and are named one by one."""


class Gatherings:
    """Called by the thread of the notifications alone.

    Of each a witness is known, one of its jobs that has not ended: while it has not, and was not
    edited, there is no need to look for another, nor at the gathering. So a look costs what has
    happened since the one before, however many gatherings there are.
    """

    def __init__(
        self, reader: Reader, found: DeliveryReader, shown: JobViews, workspaces: Workspaces
    ) -> None:
        self._reader = reader
        self._found = found
        self._shown = shown
        self._workspaces = workspaces
        self._witnessed: dict[int, set[int]] = {}
        """By witness: the numbers of the gatherings that it stands for."""
        self._unwitnessed: set[int] = set()
        """Those that are to be looked at."""
        self._newest = 0
        """All up to this number are known; none is given twice."""

    def forget(self, left: Collection[int]) -> None:
        """These jobs have ended, or were removed, or may be in another group or have other tags."""
        for job in left if self._witnessed else ():
            self._unwitnessed |= self._witnessed.pop(job, set())

    def ended(self) -> Iterator[tuple[int, Planned]]:
        """Those of which all jobs have ended, by number. Raises: StoreFailed.

        One that is given is told, and gone, when the next is asked for; else it comes once more.
        """
        found = self._found.gatherings(self._newest, self._unwitnessed)
        # Before any is looked at: what is not reached now has its turn the next time.
        self._unwitnessed = {number for number, _ in found}
        self._newest = max(self._newest, *self._unwitnessed, 0)
        for number, gathering in found:
            ends = self._ends_of(number, gathering)
            if ends is not None:
                yield number, Planned(gathering.target, self._message(gathering, *ends))
            self._unwitnessed.discard(number)

    def _ends_of(
        self, number: int, gathering: Gathering
    ) -> tuple[dict[State, int], Sequence[JobRow]] | None:
        """How many of its jobs are in which state when all have ended, and the first that did not
        complete; None: one has not ended.
        """
        # A restart that comes behind that moment is none of what is told.
        with self._reader.moment() as reader:
            left = _left(reader, gathering)
            if left is not None:
                self._witnessed.setdefault(left, set()).add(number)
                return None
            found = DeliveryReader(reader)
            return found.counts_of(gathering), reader.jobs(found.uncompleted(gathering, _NAMED))

    # --- the verdict ------------------------------------------------------------------------------

    def _message(
        self, gathering: Gathering, counts: dict[State, int], rows: Sequence[JobRow]
    ) -> Message:
        total = sum(counts.get(state, 0) for state in FINISHED)
        failed = [row.id for row in rows]
        jobs = self._shown.of(rows)
        told = [f"{state}: {counts[state]:,}" for state in FINISHED if counts.get(state)]
        lines = [line for row, job in zip(rows, jobs, strict=True) for line in self._of(row, job)]
        more = total - counts.get(State.COMPLETED, 0) - len(jobs)
        lines += [f"  … and {more:,} more"] if more > 0 else []
        which = _which(gathering)
        return Message(
            occasion=ALL_ENDED,
            at=now_us(),
            said=f"all ended: {which} ({', '.join(told) or 'none is left'})",
            details=[*told, *(["", "not completed:", *lines] if lines else [])],
            jobs=failed,
            counts=counts,
            exit_code=_exit_code(jobs, total, counts.get(State.COMPLETED, 0)),
            again="" if not failed else f"jobctl restart --failed {_selector(gathering)}",
        )

    def _of(self, row: JobRow, job: Job) -> Iterator[str]:
        yield f"  {text.told(job, job.id, job.state, job.reason)}"
        if line := last_line(self._workspaces.end_of(row.engine, row.id, row.attempt, WINDOW)):
            yield f"    {line}"


def _left(reader: Reader, gathering: Gathering) -> int | None:
    """One of its jobs that has not ended."""
    if not gathering.by_name:
        return reader.one_of(UNFINISHED, [(gathering.first, gathering.last)])
    chosen = Filter(states=UNFINISHED, groups=gathering.groups, tags=gathering.tags)
    return next((job for job, _ in reader.select(chosen, 1)), None)


def _exit_code(failed: Sequence[Job], total: int, completed: int) -> int:
    """What `jobctl wait` ends with for the same jobs."""
    if completed == total:
        return 0
    return exit_code_of(failed[0]) if total == 1 and failed else 1


def _which(gathering: Gathering) -> str:
    if gathering.groups:
        return f"group {', '.join(gathering.groups)}"
    if gathering.tags:
        return f"tag {', '.join(gathering.tags)}"
    count = gathering.last - gathering.first + 1
    first, last = gathering.first, gathering.last
    return f"job {first}" if count == 1 else f"{counted(count, 'job')}, {first}-{last}"


def _selector(gathering: Gathering) -> str:
    """For a command line."""
    names = [f"--group {name}" for name in gathering.groups]
    names += [f"--tag {name}" for name in gathering.tags]
    if names:
        return " ".join(names)
    first, last = gathering.first, gathering.last
    return str(first) if first == last else f"{first}-{last}"
