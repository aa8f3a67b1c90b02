"""What does not move in the queue, and why: what never would by itself, and what waits its turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from jobd.client.client import Client
from jobd.contract.errors import NotFound
from jobd.contract.models import DaemonStatus, GroupShare, Job, Lack, List, Page, Selector
from jobd.contract.reports import Stuck
from jobd.contract.states import Reason, Resource, State, how_to_end
from jobd.contract.wording import counted

LOOKED_AT: Final = 200
"""Jobs of a state that are looked at: of the pending ones those that would start first."""
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


class Found(Struct, frozen=True, kw_only=True):
    """What keeps jobs from running, as far as somebody can do something about it."""

    stuck: list[Stuck]
    waiting: list[Stuck]
    """Those that will start by themselves, with the words of the first of each kind."""


def find(client: Client, status: DaemonStatus) -> Found:
    """From the status and a page of each state, so that it costs the same for any queue."""
    stuck = list(_queue(status))
    if status.jobs.get(State.RUNNING):
        running = _page(client, State.RUNNING).jobs
        stuck += _of([job for job in running if job.paused], "paused", "jobctl resume")
        stuck += _unending(running)
    pending = status.jobs.get(State.PENDING, 0)
    if not pending:
        return Found(stuck=stuck, waiting=[])
    groups = client.groups().groups
    page, more = _page(client, State.PENDING), pending > LOOKED_AT
    jobs = page.jobs
    stuck += _groups(groups, jobs, more=more)
    told = {job for entry in stuck for job in entry.jobs}
    never = {job.id: why for job in jobs if (why := _never(job, page.lacks.get(job.id, ())))}
    stuck += _too_large({job: why for job, why in never.items() if job not in told})
    left = [job for job in jobs if job.id not in told and job.id not in never]
    stuck += _pending(left, more=more)
    moving = [job for job in left if job.reason in _MOVES]
    return Found(stuck=stuck, waiting=list(_readiness(client, moving, more=more)))


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


def _page(client: Client, state: State) -> Page:
    return client.list(List(selector=Selector(states=[state]), limit=LOOKED_AT))


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
        command = "jobctl start" if reason == Reason.HELD else "jobctl show"
        yield from _of(held, reason, command, more=more)


def _of(jobs: list[Job], why: str, command: str, *, more: bool = False) -> Iterator[Stuck]:
    if jobs:
        ids = [job.id for job in jobs]
        yield Stuck(why=why, jobs=ids, more=more, hint=f"{command} {ids[0]}")


def _readiness(client: Client, jobs: Iterable[Job], *, more: bool) -> Iterator[Stuck]:
    """A question for each kind that there is, not for each job."""
    by_kind: dict[tuple[object, ...], list[int]] = {}
    for job in jobs:
        group = job.group if job.reason == Reason.GROUP_FULL else ""
        by_kind.setdefault((job.reason, group, job.slots, job.gpus), []).append(job.id)
    for (reason, *_), ids in by_kind.items():
        yield Stuck(why=_words(client, ids[0]) or str(reason), jobs=ids, more=more)


def _words(client: Client, job: int) -> str | None:
    try:
        return client.show(job).why
    except NotFound:
        return None
