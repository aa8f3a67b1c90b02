"""What does not move in the queue and would not by itself, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from jobctl.client import Client
from jobd.contract.models import DaemonStatus, Job, List, Selector, State

LOOKED_AT: Final = 200
"""Jobs of a state that are looked at: of the pending ones those that would start first."""
_MOVES: Final = frozenset(
    {"queued", "delayed", "dependency", "group full", "resources", "retry backoff", "draining"}
)
"""Reasons for which a pending job starts by itself, sooner or later."""
_HINTS: Final = {"held": "jobctl start"}


class Stuck(Struct, frozen=True, kw_only=True):
    """Jobs that share a reason (none: the whole queue), and what can be done about it."""

    why: str
    jobs: list[int] = []
    more: bool = False
    """There may be others beyond those that were looked at."""
    hint: str | None = None


def find(client: Client, status: DaemonStatus) -> list[Stuck]:
    """From the status and a page of each state, so that it costs the same for any queue."""
    found = list(_queue(status))
    if status.jobs.get(State.RUNNING):
        paused = [job for job in _page(client, State.RUNNING) if job.paused]
        found += _of(paused, "paused", "jobctl resume")
    pending = status.jobs.get(State.PENDING, 0)
    if pending:
        found += _pending(_page(client, State.PENDING), more=pending > LOOKED_AT)
    return found


def _queue(status: DaemonStatus) -> Iterator[Stuck]:
    if status.error:
        yield Stuck(why=f"nothing starts: {status.error}", hint="jobd log")
    if status.draining:
        yield Stuck(why="jobd is shutting down: nothing starts", hint="jobd start, once it is down")
    elif not status.workers and status.jobs.get(State.PENDING):
        yield Stuck(why="nothing starts: there are no workers", hint="jobctl workers 3")


def _page(client: Client, state: State) -> list[Job]:
    return client.list(List(selector=Selector(states=[state]), limit=LOOKED_AT)).jobs


def _pending(jobs: Iterable[Job], *, more: bool) -> Iterator[Stuck]:
    by_reason: dict[str, list[Job]] = {}
    for job in jobs:
        if job.reason and job.reason not in _MOVES:
            by_reason.setdefault(job.reason, []).append(job)
    for reason, held in by_reason.items():
        yield from _of(held, reason, _HINTS.get(reason, "jobctl show"), more=more)


def _of(jobs: list[Job], why: str, command: str, *, more: bool = False) -> Iterator[Stuck]:
    if jobs:
        ids = [job.id for job in jobs]
        yield Stuck(why=why, jobs=ids, more=more, hint=f"{command} {ids[0]}")
