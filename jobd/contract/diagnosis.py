"""What is stuck in the queue, and why: it would not move by itself.

From what the daemon answers, whoever asks: a client, or the daemon itself, which tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from jobd.contract.models import (
    DaemonStatus,
    GroupShare,
    GroupsReply,
    Job,
    Lack,
    List,
    Page,
    Selector,
)
from jobd.contract.overviews import Stuck
from jobd.contract.ranges import merge_ranges
from jobd.contract.states import Reason, Resource, State, how_to_end
from jobd.contract.wording import counted

LOOKED_AT: Final = 200
"""Jobs of a state that are looked at: of the pending ones those that would start first."""
_SHOW: Final = "jobctl show"
"""Is about one job."""
_NAMED: Final = 10
"""Jobs, or ranges of them, that a hint names."""
_MOVES: Final = frozenset(
    {
        Reason.QUEUED,
        Reason.DELAYED,
        Reason.DEPENDENCY,
        Reason.GROUP_FULL,
        Reason.RESOURCES,
        Reason.RETRY_BACKOFF,
        Reason.DRAINING,
        Reason.ENGINE_AWAY,
    }
)
"""Reasons for which a pending job starts by itself, sooner or later."""
_TURN: Final = frozenset({Reason.QUEUED, Reason.GROUP_FULL, Reason.GROUP_PAUSED, Reason.RESOURCES})
"""Reasons of those that wait for nothing but a place."""


class Queue(Protocol):
    """Whoever can be asked: a client, for example. Each may raise JobdError."""

    def list(self, request: List) -> Page: ...

    def groups(self) -> GroupsReply: ...


class Diagnosis(NamedTuple):
    """What was found in a look at the queue."""

    stuck: list[Stuck]
    moving: list[Job]
    """Pending jobs that will start by themselves, of those that were looked at."""
    more: bool
    """There are others."""


def look(queue: Queue, status: DaemonStatus) -> Diagnosis:
    """From the status and a page of each state, so that it costs the same for any queue."""
    stuck = list(_queue(status))
    if status.jobs.get(State.RUNNING):
        running = _page(queue, State.RUNNING).jobs
        stuck += _of([job for job in running if job.paused], "paused", "jobctl resume")
        stuck += _unending(running)
    pending = status.jobs.get(State.PENDING, 0)
    if not pending:
        return Diagnosis(stuck, [], more=False)
    groups = queue.groups().groups
    page, more = _page(queue, State.PENDING), pending > LOOKED_AT
    jobs = page.jobs
    stuck += _groups(groups, jobs, more=more)
    told = {job for entry in stuck for job in entry.jobs}
    never = {job.id: why for job in jobs if (why := _never(job, page.lacks.get(job.id, ())))}
    stuck += _too_large({job: why for job, why in never.items() if job not in told})
    left = [job for job in jobs if job.id not in told and job.id not in never]
    stuck += _pending(left, more=more)
    return Diagnosis(stuck, [job for job in left if job.reason in _MOVES], more=more)


def _queue(status: DaemonStatus) -> Iterator[Stuck]:
    if status.error:
        yield Stuck(why=f"nothing starts: {status.error}", hint="jobd log")
    if status.draining:
        yield Stuck(why="jobd is shutting down: nothing starts", hint="jobd start, once it is down")
    elif not status.workers and status.jobs.get(State.PENDING):
        yield Stuck(why="nothing starts: there are no workers", hint="jobctl workers 3")


def _unending(running: Iterable[Job]) -> Iterator[Stuck]:
    """Those that were told to end and have processes that the daemon may not signal."""
    for job in running:
        if (hint := how_to_end(job.reason)) is not None:
            yield Stuck(why=str(job.reason), jobs=[job.id], hint=hint)


def _page(queue: Queue, state: State) -> Page:
    return queue.list(List(selector=Selector(states=[state]), limit=LOOKED_AT))


def _groups(groups: Iterable[GroupShare], jobs: Sequence[Job], *, more: bool) -> Iterator[Stuck]:
    """Groups that start nothing: those of their jobs that were looked at."""
    for group in groups:
        waiting = [job.id for job in jobs if job.group == group.name and job.reason in _TURN]
        if waiting and group.paused:
            hint = f"jobctl resume --group {group.name}"
            yield Stuck(why=f"group {group.name} is paused", jobs=waiting, more=more, hint=hint)
        elif waiting and group.workers == 0:
            hint = f"jobctl workers 1 --group {group.name}"
            why = f"group {group.name} has no workers"
            yield Stuck(why=why, jobs=waiting, more=more, hint=hint)


class _Never(Struct, frozen=True):
    """Why a heavy job cannot start as things are, and where to change that."""

    why: str
    hint: str = "jobctl workers --help"


def _never(job: Job, lacks: Sequence[Lack]) -> _Never | None:
    """None: it can, or it is one of all that wait for the first worker of the queue or a group."""
    told = {lack.what: lack for lack in lacks if lack.have or lack.what is Resource.GPUS}
    if lack := told.get(Resource.GPUS):
        needs = f"needs {counted(lack.needs, 'GPU')}, {_there_are(lack)}"
        return _Never(needs, "[gpus] devices in config.toml")
    if lack := told.get(Resource.GROUP):
        return _Never(f"needs {lack.needs} workers, group {job.group} has {lack.have}")
    if lack := told.get(Resource.WORKERS):
        return _Never(f"needs {lack.needs} workers, {_there_are(lack)}")
    return None


def _there_are(lack: Lack) -> str:
    return f"there {'is' if lack.have == 1 else 'are'} {lack.have}"


def _too_large(never: dict[int, _Never]) -> Iterator[Stuck]:
    for one in dict.fromkeys(never.values()):
        jobs = [job for job, said in never.items() if said == one]
        yield Stuck(why=one.why, jobs=jobs, hint=one.hint)


def _pending(jobs: Iterable[Job], *, more: bool) -> Iterator[Stuck]:
    by_reason: dict[str, list[Job]] = {}
    for job in jobs:
        if job.reason and job.reason not in _MOVES and job.reason != Reason.GROUP_PAUSED:
            by_reason.setdefault(job.reason, []).append(job)
    for reason, held in by_reason.items():
        command = "jobctl start" if reason == Reason.HELD else _SHOW
        yield from _of(held, reason, command, more=more)


def _of(jobs: list[Job], why: str, command: str, *, more: bool = False) -> Iterator[Stuck]:
    if jobs:
        ids = [job.id for job in jobs]
        named = ids[:1] if command == _SHOW else ids
        yield Stuck(why=why, jobs=ids, more=more, hint=f"{command} {_first_of(named)}")


def _first_of(ids: Sequence[int]) -> str:
    """As a command takes them: `5,7-9`."""
    ranges = merge_ranges((job, job) for job in ids)[:_NAMED]
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
