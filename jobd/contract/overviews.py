"""What clients make of several answers, whatever they show it with; part of it stands in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from jobd.contract.models import Array, Ended, Job
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
    arrays: Mapping[int, Array] = {}
    """Those for which one of the running jobs stands, by its id."""
    ended: Sequence[tuple[Job, Array]] = ()
    """Those that have ended since the picture before, each with a job that stands for it."""

    def later(self, seconds: float) -> Picture:
        """The same where nothing has happened since, so many seconds later."""
        return replace(
            self,
            running=[_later(job, seconds) for job in self.running],
            arrays={
                job: replace(array, eta_s=array.eta_s and max(1.0, array.eta_s - seconds))
                for job, array in self.arrays.items()
            },
        )


def _later(job: Job, seconds: float) -> Job:
    if job.run_s is None:
        return job
    left = job.eta_s and max(1.0, job.eta_s - seconds)
    return replace(job, run_s=job.run_s + seconds, eta_s=left)


class HowFar(Struct, frozen=True, kw_only=True):
    """How far some jobs are that somebody waits for."""

    counts: dict[State, int]
    job: Job | None = None
    """Where it is one."""
    array: Array | None = None
    """Where they are one array or batch."""
    eta_s: float | None = None
    """Seconds until all have finished."""
    to_end: bool = True
    """It is waited for that."""

    @property
    def ticks(self) -> bool:
        """Whether it is another one a second later, though nothing has happened."""
        job = self.job
        moves = job is not None and (job.state is State.RUNNING or job.not_before is not None)
        return moves or bool(self.eta_s)

    def later(self, seconds: float) -> HowFar:
        """The same where nothing has happened since, so many seconds later."""
        job = self.job
        if job is not None and job.state is State.RUNNING and not job.paused:
            job = _later(job, seconds)
        return replace(self, job=job, eta_s=self.eta_s and max(1.0, self.eta_s - seconds))


class Unknown(Struct, frozen=True):
    """What filters name and nothing has, a sentence each."""

    groups: list[str] = []
    tags: list[str] = []
    """And patterns that are none."""


class Statistics(Struct, frozen=True, kw_only=True):
    """One line of the history; its names are the public JSON. What nobody knows is None."""

    key: str | None
    """What the attempts have in common; None: these are all."""
    attempts: int
    jobs: int
    completed: int
    failed: int
    stopped: int
    first_started_at: datetime | None = None
    last_finished_at: datetime | None = None
    wait_p50_s: float | None = None
    wait_p90_s: float | None = None
    wait_p99_s: float | None = None
    wait_max_s: float | None = None
    run_p50_s: float | None = None
    run_p90_s: float | None = None
    run_p99_s: float | None = None
    run_max_s: float | None = None
    run_s: float
    cpu_s: float | None = None
    rss_p50_kb: int | None = None
    rss_p90_kb: int | None = None
    rss_p99_kb: int | None = None
    rss_max_kb: int | None = None
    worker_s: float
    """Seconds of workers that they took; one that takes several counts for each."""
    use_percent: float | None = None
    """Of the time of all workers."""


class Segment(Struct, frozen=True, kw_only=True):
    """A piece of a worker's time, drawn as one bar: a single attempt."""

    left: float
    """Percent of the whole span; so `width`."""
    width: float
    state: State
    job: int
    attempt: int
    seconds: float


class Stretch(Struct, frozen=True, kw_only=True):
    """A piece of a worker's time in which many attempts lie close together."""

    left: float
    """Percent of the whole span; so `width`."""
    width: float
    failed: int
    """Percent of its time that went into attempts that failed; so the other two."""
    stopped: int
    completed: int
    attempts: int
    """How many began in it."""


class Lane(Struct, frozen=True, kw_only=True):
    """What one worker did."""

    slot: int
    attempts: int
    segments: list[Segment]
    """Of a worker with few attempts."""
    stretches: list[Stretch]
    """Of one with many."""


class Outcomes(Struct, frozen=True, kw_only=True):
    """How attempts ended, piece by piece of the span."""

    completed: list[int]
    failed: list[int]
    stopped: list[int]


class Curves(Struct, frozen=True, kw_only=True):
    """What there was on average, piece by piece of the span."""

    waiting: list[float]
    busy: list[float]
    """Workers."""
    cores: list[float]
    memory_kb: list[float]
    """The most that the attempts which ran ever had, added up."""


class Review(Struct, frozen=True, kw_only=True):
    """All that a report of a span of time shows."""

    begin: datetime
    end: datetime
    workers: int
    unfinished: tuple[int, int] | None
    """How many jobs ran and waited at its end; None: they were not meant."""
    total: Statistics
    days: list[Statistics]
    failing: list[Statistics]
    """By name, those that failed most often."""
    exits: list[Statistics]
    slowest: list[Ended]
    lanes: list[Lane]
    more_lanes: int
    """Workers that are not drawn."""
    outcomes: Outcomes
    curves: Curves
