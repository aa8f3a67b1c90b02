"""What is known of a pending job and of what it waits for: the facts behind `why`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from jobd.contract.models import Lack
from jobd.contract.states import Reason, State
from jobd.core.ledger import Ledger
from jobd.core.placement import Placement
from jobd.core.ready_queue import Entry
from jobd.daemon.queries.explain import COUNTED, NAMED, Awaited, Facts, why
from jobd.store.reader import Reader
from jobd.store.records import JobRow

_LOOKED_AT: Final = 10_000
"""Pending jobs that are looked at to count those of a group that come before one."""

_Kind = tuple[str, int, int]


def _kind(row: JobRow) -> _Kind:
    """What it needs: jobs that need the same wait for the same."""
    return row.group, row.slots, row.gpus


class Inquiry:
    """Any thread may ask; numbers of the ledger are those of this moment."""

    def __init__(self, ledger: Ledger, placement: Placement, reader: Reader) -> None:
        self._ledger = ledger
        self._placement = placement
        self._reader = reader

    def reason(self, row: JobRow) -> str | None:
        """Why a job is as it is; one that waits for its turn alone: what keeps it from it."""
        if row.state is not State.PENDING:
            return row.reason
        if row.reason == Reason.QUEUED:
            return self._turn(row.entry)
        return (
            Reason.DRAINING if self._ledger.draining and row.reason != Reason.HELD else row.reason
        )

    def reasons(self, rows: Sequence[JobRow]) -> list[str | None]:
        """The same of many: where they wait for their turn, each kind of them is looked at once."""
        turns: dict[_Kind, str] = {}
        found = list[str | None]()
        for row in rows:
            if row.state is not State.PENDING or row.reason != Reason.QUEUED:
                found.append(self.reason(row))
                continue
            kind = _kind(row)
            if kind not in turns:
                turns[kind] = self._turn(row.entry)
            found.append(turns[kind])
        return found

    def _turn(self, entry: Entry) -> str:
        """What keeps a job from its turn; where its engine is away, room would be of no use."""
        reason = self._ledger.reason(entry)
        halted = reason in (Reason.DRAINING, Reason.GROUP_PAUSED)
        is_away = not halted and self._placement.away(entry.group) is not None
        return Reason.ENGINE_AWAY if is_away else reason

    def lacks(self, rows: Iterable[JobRow]) -> dict[int, list[Lack]]:
        """Of those that wait for their turn: which can never start as things are, and why."""
        if self._ledger.draining:
            return {}
        kinds: dict[_Kind, list[Lack]] = {}
        found = {}
        for row in rows:
            if row.state is not State.PENDING or row.reason != Reason.QUEUED:
                continue
            kind = _kind(row)
            if kind not in kinds:
                kinds[kind] = self._ledger.lacks(row.entry)
            if kinds[kind]:
                found[row.id] = kinds[kind]
        return found

    def why(self, row: JobRow, now: float) -> str:
        """In words. `now`: seconds since the epoch."""
        return why(self.facts(row, now))

    def facts(self, row: JobRow, now: float) -> Facts:
        """Numbers that would need a scan of the whole queue are capped."""
        ledger, entry = self._ledger, row.entry
        reason = self.reason(row) or Reason.QUEUED
        awaited, more = self._awaited(row)
        ahead, uncounted = (
            self._ahead(row, reason) if row.reason == Reason.QUEUED else (None, False)
        )
        return Facts(
            job=row.id,
            reason=reason,
            now=now,
            workers=ledger.workers,
            busy=ledger.busy,
            slots=entry.slots,
            gpus=entry.gpus,
            devices=ledger.gpus,
            free_devices=ledger.free_gpus,
            group=entry.group,
            share=ledger.limit(entry.group),
            busy_in_group=ledger.busy_in(entry.group),
            awaited=awaited,
            more_awaited=more,
            engine=self._placement.engine_of(entry.group),
            away=self._placement.away(entry.group),
            due=None if row.due is None else row.due / 1e6,
            failures=row.failures,
            retries=row.policy.retries,
            ahead=ahead,
            ahead_more=uncounted,
        )

    def _awaited(self, row: JobRow) -> tuple[list[Awaited], int]:
        """The first few that it still waits for, and how many there are besides."""
        unmet = [one.id for one in self._reader.parents([row]).get(row.id, ()) if not one.met]
        awaited = [
            Awaited(
                id=one.id,
                state=one.state,
                reason=one.reason,
                progress=one.progress,
                paused=one.paused,
            )
            for one in self._reader.jobs(unmet[:NAMED])
        ]
        return awaited, len(unmet) - len(awaited)

    def _ahead(self, row: JobRow, reason: str) -> tuple[int, bool]:
        """Those that wait for their turn as it does, of its group where that is what is full."""
        group = row.group if reason == Reason.GROUP_FULL else None
        look = COUNTED + 1 if group is None else _LOOKED_AT
        return self._reader.ahead_of(row.entry, group, look)
