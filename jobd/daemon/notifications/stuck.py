"""`on = ["stuck"]`: what `jobctl status` calls so, told when it has come to be so.

Looked at some seconds after something has happened, once for all that happens meanwhile; and now
and then while jobs run or nothing can be started, since a process that does not end, or a disk that
is full, is no event. Where nothing happens, nothing is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from jobd.contract.models import Job
from jobd.contract.overviews import Stuck
from jobd.contract.states import Occasion
from jobd.contract.wording import listed
from jobd.core.notification.message import Message
from jobd.core.notification.rules import Rule
from jobd.daemon.jobs.in_force import InForce
from jobd.daemon.queries.views import JobViews
from jobd.store.deliveries import Planned
from jobd.store.delivery_reader import DeliveryReader
from jobd.store.reader import Reader
from jobd.system.clock import now_us

_SETTLE_S: Final = 3.0
"""Seconds between an event and the look: what is put right at once was not stuck."""
_AGAIN_S: Final = 60.0
"""Seconds between two looks where there are no events."""

Known = Mapping[str, Sequence[int]]
"""What has been told: jobs by why they are stuck."""


class StuckWatch:
    """Called by the thread of the notifications alone."""

    def __init__(
        self,
        in_force: InForce,
        look: Callable[[], list[Stuck]],
        at_work: Callable[[], bool],
        *,
        reader: Reader,
        found: DeliveryReader,
        shown: JobViews,
    ) -> None:
        """`look`: what is stuck now. `at_work`: whether more may be so before anything happens."""
        self._in_force = in_force
        self._look = look
        self._at_work = at_work
        self._reader = reader
        self._found = found
        self._shown = shown
        self._known: Known | None = None
        """None: the store says."""
        self._due: float | None = None

    @property
    def _rules(self) -> list[Rule]:
        return [rule for rule in self._in_force.rules if Occasion.STUCK in rule.on]

    def heard(self) -> None:
        """Something has happened."""
        soon = time.monotonic() + _SETTLE_S
        if self._rules and (self._due is None or self._due > soon):
            self._due = soon

    @property
    def left(self) -> float | None:
        """Seconds until the next look; None: none is due before something happens."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def planned(self) -> tuple[Known, list[Planned]] | None:
        """If it is time: what is stuck now, and what is to be told of it. None: nothing is new.

        Raises: StoreFailed.
        """
        if self._due is None or self._due > time.monotonic():
            return None
        stuck = self._look()
        before = self._found.stuck() if self._known is None else self._known
        self._known = {entry.why: entry.jobs for entry in stuck}
        self._due = time.monotonic() + _AGAIN_S if self._at_work() else None
        if self._known == before:
            return None
        new = [one for entry in stuck for one in _new(entry, before)]
        return self._known, [one for entry in new for one in self._messages(entry)]

    def forget(self) -> None:
        """What was planned could not be saved: it is planned again."""
        self._known = None
        self.heard()

    def _messages(self, entry: Stuck) -> Iterator[Planned]:
        jobs = self._shown.of(self._reader.jobs(entry.jobs))
        for rule in self._rules:
            wanted = [job for job in jobs if rule.wants(job, job.state)]
            if wanted or (not entry.jobs and not rule.is_choosy and not rule.config.states):
                message = _message(entry, wanted)
                yield from (Planned(target, message) for target in rule.targets)


def _new(entry: Stuck, before: Known) -> Iterator[Stuck]:
    """What of it was not told yet."""
    jobs = [job for job in entry.jobs if job not in before.get(entry.why, ())]
    if jobs or (not entry.jobs and entry.why not in before):
        yield Stuck(why=entry.why, jobs=jobs, hint=entry.hint)


def _message(entry: Stuck, jobs: Sequence[Job]) -> Message:
    ids = [job.id for job in jobs]
    which = f"job{'s' if len(ids) > 1 else ''} {listed(ids)}: " if ids else ""
    return Message(
        occasion=Occasion.STUCK,
        at=now_us(),
        said=f"stuck: {which}{entry.why}",
        job=jobs[0] if len(jobs) == 1 else None,
        details=[f"what helps: {entry.hint}"] if entry.hint else [],
        jobs=ids,
    )
