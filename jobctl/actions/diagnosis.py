"""What does not move in the queue, and why: what never would by itself, and what waits its turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from jobd.client.client import Client
from jobd.contract import diagnosis
from jobd.contract.errors import NotFound
from jobd.contract.models import DaemonStatus, Job
from jobd.contract.reports import Stuck
from jobd.contract.states import Reason


class Found(Struct, frozen=True, kw_only=True):
    """What keeps jobs from running, as far as somebody can do something about it."""

    stuck: list[Stuck]
    waiting: list[Stuck]
    """Those that will start by themselves, with the words of the first of each kind."""


def find(client: Client, status: DaemonStatus) -> Found:
    """What is stuck, and what each kind of those that are not waits for."""
    seen = diagnosis.look(client, status)
    return Found(stuck=seen.stuck, waiting=list(_readiness(client, seen.moving, more=seen.more)))


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
