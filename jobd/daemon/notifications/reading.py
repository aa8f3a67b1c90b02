"""From the history to messages: who wants to be told of which event, and what is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from jobd.contract.models import MAX_ID, Job
from jobd.contract.states import FINISHED, UNFINISHED, EventName, Occasion, State
from jobd.core.notification import text
from jobd.core.notification.message import NAMED, SINGLES, Message, Target
from jobd.core.notification.rules import Rule, occasions, state_after
from jobd.core.progress.last_line import WINDOW, last_lines
from jobd.daemon.jobs.in_force import InForce
from jobd.daemon.queries.views import JobViews
from jobd.outputs.workspace import Workspaces
from jobd.store.deliveries import Planned
from jobd.store.delivery_reader import DeliveryReader
from jobd.store.reader import Reader
from jobd.store.records import EventRow, JobRow
from jobd.store.rows import readable

_TOLD: Final = SINGLES + NAMED
"""Of what is read at a time, so many are told of one by one; of the others how many there are."""
_LINES: Final = 10
"""Of the output."""
_WIDTH: Final = 200
"""Characters of one of them."""
_AHEAD: Final = 500
"""Events that are looked at to see whether more jobs end in them."""
_ALL: Final = [(1, MAX_ID)]
_DATA: Final = frozenset(
    {EventName.FAILED.value, EventName.STOPPED.value, EventName.RETRYING.value}
)
"""Events that say how an attempt ended."""

_LEFT: Final = frozenset(
    {*(state.value for state in FINISHED), EventName.REMOVED.value, EventName.EDITED.value}
)

_data: Final = msgspec.json.Decoder(dict[str, Any])


class _Occurrence(NamedTuple):
    """An event that somebody may want to hear of."""

    event: EventRow
    occasions: frozenset[Occasion]
    data: dict[str, Any]

    @property
    def job(self) -> int:
        return self.event.job or 0


class Reading:
    """Called by the thread of the notifications alone."""

    def __init__(
        self,
        in_force: InForce,
        reader: Reader,
        found: DeliveryReader,
        shown: JobViews,
        workspaces: Workspaces,
    ) -> None:
        self._in_force = in_force
        self._rules: Sequence[Rule] = ()
        """Those of what is being read: they may be others the next time."""
        self._reader = reader
        self._found = found
        self._shown = shown
        self._workspaces = workspaces

    def read(self, after: int, limit: int) -> tuple[Sequence[EventRow], list[Planned]]:
        """The next events, and what is to be told of them. Raises: StoreFailed."""
        self._rules = self._in_force.rules
        # Before them: all ends that have made the queue empty are among the events then.
        empty = self._listens(Occasion.QUEUE_EMPTY) and self._is_empty()
        events = self._reader.events(after, [], limit)
        marked = list(_occurrences(events))
        planned = self._planned(marked) if marked else []
        if empty and _ends(marked) and not (len(events) == limit and self._goes_on(events[-1])):
            planned += self._of_queue(Occasion.QUEUE_EMPTY, marked[-1].event.at)
        return events, planned

    def _goes_on(self, event: EventRow) -> bool:
        """More ends are behind it: the queue was not empty before them."""
        return _ends(list(_occurrences(self._reader.events(event.seq, [], _AHEAD))))

    def _listens(self, occasion: Occasion) -> bool:
        return any(occasion in rule.on for rule in self._rules)

    def _is_empty(self) -> bool:
        return self._reader.one_of(UNFINISHED, _ALL) is None

    def _of_queue(self, occasion: Occasion, at: int) -> Iterator[Planned]:
        message = Message(occasion=occasion, at=at, said="the queue is empty")
        for rule in self._rules:
            if occasion in rule.on:
                yield from (Planned(target, message) for target in rule.targets)

    # --- jobs -------------------------------------------------------------------------------------

    def _planned(self, marked: Sequence[_Occurrence]) -> list[Planned]:
        wishes = self._found.wishes([one.job for one in marked])
        jobs = self._jobs(marked, set(wishes))
        planned, more = list[Planned](), Counter[int]()
        told = Counter[int]()
        for one in marked:
            state = state_after(one.event.event)
            row = jobs.get(one.job)
            job = None if row is None else self._as_then(row, one)
            for number, rule in enumerate(self._rules):
                if rule.listens(one.occasions) and rule.wants(job, state):
                    told[number] += 1
                    if told[number] <= _TOLD:
                        # Those that are gathered show no output: none is read for them.
                        shown = row if told[number] <= SINGLES else None
                        message = self._message(one, job, shown)
                        planned += [Planned(target, message) for target in rule.targets]
                    else:
                        more[number] += 1
            if row is not None and job is not None:
                planned += self._wished(wishes.get(one.job, ()), one, job, row)
        for number, count in more.items():
            last = marked[-1].event
            rest = Message(occasion=last.event, at=last.at, said="", count=count)
            planned += [Planned(target, rest) for target in self._rules[number].targets]
        return planned

    def _jobs(self, marked: Sequence[_Occurrence], wished: set[int]) -> dict[int, JobRow]:
        """Those that have to be known."""
        needed, told = wished, Counter[int]()
        for one in marked:
            for number, rule in enumerate(self._rules):
                if rule.listens(one.occasions):
                    told[number] += 1
                    if rule.is_choosy or told[number] <= _TOLD:
                        needed.add(one.job)
        return {row.id: row for row in self._reader.jobs(sorted(needed))} if needed else {}

    def _wished(
        self, wishes: Sequence[Any], one: _Occurrence, job: Job, row: JobRow
    ) -> Iterator[Planned]:
        for wish in wishes:
            if not one.occasions.isdisjoint(wish.on):
                target = Target(
                    rule="--notify", to=wish.to, environment=row.environment, cwd=row.spec.cwd
                )
                yield Planned(target, self._message(one, job, row))

    def _as_then(self, row: JobRow, one: _Occurrence) -> Job:
        """The job as the event has left it, also where it has gone on since."""
        (job,) = self._shown.of([row])
        state = state_after(one.event.event)
        if job.state is state and state is not State.PENDING:
            return job
        ended = [
            attempt
            for attempt in self._reader.attempts(row.id)
            if attempt.finished_at is not None and attempt.finished_at <= one.event.at
        ]
        last, then = ended[-1] if ended else None, datetime.fromtimestamp(one.event.at / 1e6, UTC)
        began = last and datetime.fromtimestamp(last.started_at / 1e6, UTC)
        return replace(
            job,
            state=state,
            reason=one.data.get("reason"),
            exit_code=one.data.get("exit_code", 0 if state is State.COMPLETED else None),
            signal=one.data.get("signal"),
            attempt=last.attempt if last else job.attempt,
            started_at=began,
            finished_at=then,
            run_s=(then - began).total_seconds() if began else None,
        )

    def _message(self, one: _Occurrence, job: Job | None, row: JobRow | None) -> Message:
        event = one.event
        reason = one.data.get("reason")
        what = "was lost and runs again" if event.event == EventName.RETRYING else event.event
        lines = self._last_lines(row, job) if row is not None and job is not None else []
        return Message(
            occasion=event.event if event.event != EventName.RETRYING else Occasion.LOST.value,
            at=event.at,
            said=text.told(job, one.job, what, None if what == reason else reason),
            job=job,
            last_lines=lines,
            again="" if job is None else text.again(job),
        )

    def _last_lines(self, row: JobRow, job: Job) -> list[str]:
        end = self._workspaces.end_of(row.engine, row.id, job.attempt, WINDOW)
        lines = [line[:_WIDTH] for _, line in zip(range(_LINES), last_lines(end), strict=False)]
        return lines[::-1]


def _occurrences(events: Sequence[EventRow]) -> Iterator[_Occurrence]:
    for event in events:
        if event.job is not None:
            said = event.data if event.event in _DATA else None
            data = readable(_data.decode, said) or {}
            if found := occasions(event.event, data.get("reason")):
                yield _Occurrence(event, found, data)


def _ends(marked: Sequence[_Occurrence]) -> bool:
    """Whether jobs have come to their end in them."""
    return any(one.event.event != EventName.RETRYING for one in marked)


def may_have_left(events: Sequence[EventRow]) -> set[int]:
    """Jobs that nobody is to wait for any more, or not in the same group or with the same tags:
    they have ended in these events, or were removed or edited.
    """
    return {event.job for event in events if event.job is not None and event.event in _LEFT}
