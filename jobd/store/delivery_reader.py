"""What is known of messages: what is on its way, what became of others, who is to be told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from jobd.contract.destinations import Wish
from jobd.contract.states import DeliveryState, State
from jobd.core.notification.message import Message, Target
from jobd.store.conditions import LISTED, VISIBLE, as_json, condition, names
from jobd.store.deliveries import ANYBODY, WISHED, message_of, target_of
from jobd.store.reader import Reader
from jobd.store.records import Filter, Gathering, gathering_decoder, wishes_decoder
from jobd.store.rows import readable
from jobd.store.settings import CURSOR, STUCK

FAILING_US: Final = 86_400_000_000
"""For so long whoever looks is told of a message that was given up, microseconds."""
_COLUMNS: Final = "id, token, state, made_at, due, tries, ended_at, error, target, message"


class DeliveryRow(NamedTuple):
    """A message as it is listed; times are microseconds since the epoch."""

    id: int
    token: str
    state: DeliveryState
    made_at: int
    due: int | None
    tries: int
    ended_at: int | None
    error: str | None
    target: Target
    message: Message


class DeliveryReader:
    """Any thread may ask; each answer is that of the last commit."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def last_event(self) -> int:
        return self._reader.last_event()

    def cursor(self) -> int | None:
        found = self._reader.setting(CURSOR)
        return None if found is None else int(found)

    def is_used(self) -> bool:
        """Whether anything is on its way."""
        rows = self._reader.rows("SELECT EXISTS (SELECT 1 FROM deliveries WHERE due IS NOT NULL)")
        return bool(rows[0][0])

    def next_due(self, busy: Collection[bytes]) -> int | None:
        """When the next one that waits is due, microseconds since the epoch, but for those whose
        place is busy.
        """
        rows = self._reader.rows(
            f"SELECT MIN(due) FROM deliveries WHERE due > 0 AND state = ?"
            f" AND hex(place) NOT IN {LISTED}",
            (DeliveryState.WAITING, as_json([place.hex().upper() for place in busy])),
        )
        return None if rows[0][0] is None else int(str(rows[0][0]))

    def wishes(self, jobs: Sequence[int]) -> dict[int, list[Wish]]:
        """What the submitters of these want to be told; those who want nothing are left out."""
        rows = self._reader.rows(
            f"SELECT id, notify FROM jobs WHERE id IN {LISTED} AND {WISHED}", (as_json(jobs),)
        )
        return {int(str(job)): readable(wishes_decoder.decode, blob) or [] for job, blob in rows}

    def is_wished(self) -> bool:
        """Whether there are jobs whose submitter wants to be told anything."""
        rows = self._reader.rows(f"SELECT {ANYBODY}")
        return bool(rows[0][0])

    def stuck(self) -> dict[str, list[int]]:
        """What was stuck at the last look."""
        return msgspec.json.decode(self._reader.setting(STUCK) or "{}", type=dict[str, list[int]])

    def gatherings(self, after: int, also: Collection[int]) -> list[tuple[int, Gathering]]:
        """Those that came behind `after`, and of the earlier ones these."""
        # In two halves: with an OR between them SQLite goes through all.
        rows = self._reader.rows(
            "SELECT id, gathering FROM gatherings WHERE id > ?"
            f" UNION ALL SELECT id, gathering FROM gatherings WHERE id IN {LISTED} ORDER BY id",
            (after, as_json([*also])),
        )
        found = ((int(str(row[0])), readable(gathering_decoder.decode, row[1])) for row in rows)
        return [(number, gathering) for number, gathering in found if gathering is not None]

    def counts_of(self, gathering: Gathering) -> dict[State, int]:
        """How many of its jobs are in each state, of those in a group or with a tag that have
        ended since.
        """
        where, values = _of(gathering)
        rows = self._reader.rows(
            f"SELECT j.state, COUNT(*) FROM jobs AS j WHERE {where} AND {VISIBLE} GROUP BY 1",
            values,
        )
        return {State(str(state)): int(str(count)) for state, count in rows}

    def uncompleted(self, gathering: Gathering, limit: int) -> list[int]:
        """The first of its jobs that failed or were stopped."""
        where, values = _of(gathering)
        rows = self._reader.rows(
            f"SELECT j.id FROM jobs AS j WHERE {where} AND {VISIBLE}"
            f" AND j.state IN ({names((State.FAILED, State.STOPPED))}) ORDER BY j.id LIMIT ?",
            (*values, limit),
        )
        return [int(str(job)) for (job,) in rows]

    def latest(self, limit: int, only: Sequence[int] = ()) -> list[DeliveryRow]:
        """The newest first; `only`: of these."""
        where, values = (f"WHERE id IN {LISTED}", (as_json(only),)) if only else ("", ())
        rows = self._reader.rows(
            f"SELECT {_COLUMNS} FROM deliveries {where} ORDER BY id DESC LIMIT ?", (*values, limit)
        )
        return [_row(*row) for row in rows]

    def failing(self, since: int) -> tuple[int, str | None]:
        """How many have been tried in vain and will be again, or have been given up since then
        (microseconds since the epoch); and why the last of them was not delivered.
        """
        # Of a statement with MAX the other columns are those of the row that has it.
        rows = self._reader.rows(
            "SELECT COUNT(*), error, MAX(id) FROM deliveries WHERE error IS NOT NULL"
            " AND (due > 0 OR (state = ? AND ended_at > ?))",
            (DeliveryState.GIVEN_UP, since),
        )
        count, error, _ = rows[0]
        return int(str(count)), None if error is None else str(error)


def _of(gathering: Gathering) -> tuple[str, list[object]]:
    """A condition on jobs `j`, with its values."""
    if not gathering.by_name:
        return "j.id BETWEEN ? AND ?", [gathering.first, gathering.last]
    where, values = condition(Filter(groups=gathering.groups, tags=gathering.tags))
    return f"(j.finished_at IS NULL OR j.finished_at >= ?) AND {where}", [gathering.since, *values]


def _row(*columns: Any) -> DeliveryRow:  # noqa: ANN401 - as the table has them
    *plain, target, message = columns
    plain[2] = DeliveryState(plain[2])
    known = target_of(target), message_of(message)
    return DeliveryRow._make([*plain, *known])
