"""What clients make of several answers, whatever they show it with; part of it stands in JSON."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from jobd.contract.models import Job
from jobd.contract.states import State


class Stuck(Struct, frozen=True, kw_only=True):
    """Jobs that share a reason (none: the whole queue), and what can be done about it."""

    why: str
    jobs: list[int] = []
    more: bool = False
    """There may be others beyond those that were looked at."""
    hint: str | None = None


class Picture(Struct, frozen=True, kw_only=True):
    """What somebody who watches the queue sees of it at one moment."""

    running: Sequence[Job]
    more: int
    """Jobs that run beside those."""
    lines: dict[int, str]
    """The last line of output of each."""
    counts: dict[State, int]
    workers: int | None = None
    """None where a selection is watched: the counts are those of the selection then."""
    busy: int = 0

    def later(self, seconds: float) -> Picture:
        """The same where nothing has happened since, so many seconds later."""
        return replace(self, running=[_later(job, seconds) for job in self.running])


def _later(job: Job, seconds: float) -> Job:
    if job.run_s is None:
        return job
    left = job.eta_s and max(1.0, job.eta_s - seconds)
    return replace(job, run_s=job.run_s + seconds, eta_s=left)


class Unknown(Struct, frozen=True):
    """What filters name and nothing has, a sentence each."""

    groups: list[str] = []
    tags: list[str] = []
