"""What does not move in the queue, and why: what never would by itself, and what waits its turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from jobd.client.client import Client
from jobd.contract import diagnosis
from jobd.contract.errors import NotFound, VersionMismatch
from jobd.contract.models import Array, DaemonStatus, Job, List, Selector
from jobd.contract.overviews import Stuck
from jobd.contract.states import UNFINISHED, Reason

_ROWS: Final = 10
"""Arrays and batches that are told."""


class Found(Struct, frozen=True, kw_only=True):
    """What keeps jobs from running, as far as somebody can do something about it."""

    stuck: list[Stuck]
    waiting: list[Stuck]
    """Those that will start by themselves, with the words of the first of each kind."""
    arrays: list[tuple[Job, Array]]
    """Arrays and batches that have not ended, the first of them; each with a job that stands for
    it.
    """


def find(client: Client, status: DaemonStatus) -> Found:
    """What is stuck, and what each kind of those that are not waits for."""
    seen = diagnosis.look(client, status)
    waiting = list(_readiness(client, seen.moving, more=seen.more))
    return Found(stuck=seen.stuck, waiting=waiting, arrays=_arrays(client, status))


def _arrays(client: Client, status: DaemonStatus) -> list[tuple[Job, Array]]:
    if not any(status.jobs.get(state) for state in UNFINISHED):
        return []
    try:
        unfinished = Selector(states=[*UNFINISHED])
        page = client.list(List(selector=unfinished, running=_ROWS, pending=_ROWS, collapsed=True))
    except VersionMismatch:
        return []  # a daemon of an earlier version
    found = [(job, page.arrays[job.id]) for job in page.jobs if job.id in page.arrays]
    return found[:_ROWS]


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
