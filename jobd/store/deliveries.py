"""Messages on their way, each to one destination, and how far the history was read for them.

waiting → sending → delivered
   ↑         ↓
   └──── (a later try) ──→ given up
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec

from jobd.contract.destinations import Destination, Wish
from jobd.contract.states import DeliveryState, State
from jobd.core.notification.message import (
    SINGLES,
    TEST,
    WINDOW_US,
    Message,
    Target,
    encoder,
    message_decoder,
    target_decoder,
)
from jobd.store.conditions import LISTED, VISIBLE, as_json, condition, names
from jobd.store.reader import Reader
from jobd.store.records import Filter, Gathering, gathering_decoder, wishes_decoder
from jobd.store.rows import readable
from jobd.store.settings import CURSOR, STUCK, Settings

KEPT: Final = 1000
"""Messages that are over and still listed."""
_WISHED: Final = "notify IS NOT NULL"
_DAMAGED: Final = Message(occasion=TEST, at=0, said="(damaged record)")
_NOWHERE: Final = Target(rule="(damaged record)", to=Destination(argv=["false"]), retries=0)
_ANYBODY: Final = (
    f"EXISTS (SELECT 1 FROM jobs WHERE {_WISHED}) OR EXISTS (SELECT 1 FROM gatherings)"
)
"""Whether somebody wants to be told of jobs that he has submitted."""
_COLUMNS: Final = "id, token, state, made_at, due, tries, ended_at, error, target, message"


class Planned(NamedTuple):
    """A message that is to go out."""

    target: Target
    message: Message

    @property
    def place(self) -> bytes:
        """What is sent there goes out one at a time, and is gathered where it is much."""
        return hashlib.blake2b(
            encoder.encode((self.target.rule, self.target.to)), digest_size=16
        ).digest()


class Taken(NamedTuple):
    """A message that is being sent."""

    id: int
    token: str
    place: bytes
    target: Target
    message: Message
    tries: int
    """With this one."""


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


class Deliveries:
    """The table `deliveries`, and the cursor. Called by the writer's thread, inside its
    transaction.

    Promises that what the history has made due is on disk in the same commit as that it was read:
    neither lost nor doubled; and that a try is on disk before it begins.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._settings = Settings(connection)

    def begin(self, now: int, *, wanted: bool) -> None:
        """A daemon starts: nothing is being sent any more. `wanted`: there are rules."""
        if wanted:
            self._settings.note_wish()
        self._db.execute(
            "UPDATE deliveries SET state = ?, due = ? WHERE due IS NOT NULL AND state = ?",
            (DeliveryState.WAITING, now, DeliveryState.SENDING),
        )

    def rest(self) -> bool:
        """Where no job's submitter wants to be told anything, the history need not be read."""
        found = self._db.execute(
            f"DELETE FROM settings WHERE name = '{CURSOR}' AND NOT ({_ANYBODY})"
        )
        return found.rowcount > 0

    def note(self, cursor: int | None, planned: Sequence[Planned], now: int) -> None:
        """All of this is to go out, and the history was read so far (None: it was not)."""
        if cursor is not None:
            self._db.execute(
                f"UPDATE settings SET value = ? WHERE name = '{CURSOR}'", (str(cursor),)
            )
        by_place = sorted(planned, key=lambda one: one.place)
        for place, them in groupby(by_place, lambda one: one.place):
            self._note_at(place, list(them), now)
        if planned:
            self._db.execute(
                "DELETE FROM deliveries WHERE due IS NULL"
                " AND id <= (SELECT MAX(id) FROM deliveries) - ?",
                (KEPT,),
            )

    def stuck(self, known: Mapping[str, Sequence[int]], planned: list[Planned], now: int) -> None:
        """These are stuck, by why, and all of it is told."""
        self._settings.set(STUCK, as_json(known))
        self.note(None, planned, now)

    def all_ended(self, gathering: int, planned: Planned, now: int) -> None:
        """All of its jobs have ended; that is told once, unless it has been already."""
        found = self._db.execute("DELETE FROM gatherings WHERE id = ?", (gathering,))
        if found.rowcount:
            self.note(None, [planned], now)

    def add(self, one: Planned, now: int) -> int:
        """By itself, however much is on its way; gives its number."""
        return self._insert(one.place, one, now)

    def _note_at(self, place: bytes, them: list[Planned], now: int) -> None:
        row = self._db.execute(
            "SELECT id, message FROM deliveries WHERE place = ? AND gathered = 1 AND tries = 0"
            " AND due IS NOT NULL ORDER BY id DESC LIMIT 1",
            (place,),
        ).fetchone()
        if row is not None:
            whole = _message(row[1]).and_more(one.message for one in them)
            self._db.execute(
                "UPDATE deliveries SET message = ? WHERE id = ?", (encoder.encode(whole), row[0])
            )
            return
        # A flood that has been gathered goes on as one: it does not begin anew with single ones.
        taken, flooded = self._db.execute(
            "SELECT COUNT(*), IFNULL(MAX(gathered), 0) FROM deliveries"
            " WHERE place = ? AND (made_at > ? - (gathered + 1) * ? OR due IS NOT NULL)",
            (place, now, WINDOW_US),
        ).fetchone()
        singles = 0 if flooded else max(0, SINGLES - taken)
        for one in them[:singles]:
            self._insert(place, one, now)
        if rest := them[singles:]:
            first, *others = (one.message for one in rest)
            whole = first.and_more(others)
            self._insert(place, Planned(rest[0].target, whole), now, due=now + WINDOW_US)

    def _insert(self, place: bytes, one: Planned, now: int, due: int | None = None) -> int:
        made = self._db.execute(
            "INSERT INTO deliveries (token, place, target, message, gathered, made_at, state, due)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                secrets.token_hex(8), place, encoder.encode(one.target),
                encoder.encode(one.message), due is not None, now, DeliveryState.WAITING,
                now if due is None else due,
            ),
        )  # fmt: skip
        return int(made.lastrowid or 0)

    def take(self, now: int, busy: Collection[bytes], limit: int) -> list[Taken]:
        """The first that are due, one a place; from here on they are being sent."""
        rows = self._db.execute(
            "SELECT id, token, place, target, message, tries + 1 FROM (SELECT *, ROW_NUMBER() OVER"
            " (PARTITION BY place ORDER BY due, id) AS turn FROM deliveries"
            f" WHERE due <= ? AND state = ? AND hex(place) NOT IN {LISTED})"
            " WHERE turn = 1 ORDER BY due, id LIMIT ?",
            (
                now, DeliveryState.WAITING, as_json([place.hex().upper() for place in busy]),
                limit,
            ),
        ).fetchall()  # fmt: skip
        self._db.execute(
            f"UPDATE deliveries SET state = ?, tries = tries + 1 WHERE id IN {LISTED}",
            (DeliveryState.SENDING, as_json([row[0] for row in rows])),
        )
        return [
            Taken(
                row[0], row[1], row[2], _target(row[3]),
                _message(row[4]), row[5],
            )
            for row in rows
        ]  # fmt: skip

    def delivered(self, delivery: int, now: int) -> None:
        self._end(delivery, DeliveryState.DELIVERED, None, None, now)

    def failed(self, delivery: int, error: str, due: int | None, now: int) -> None:
        """Tried in vain; `due`: when it is tried again, None: no more."""
        state = DeliveryState.GIVEN_UP if due is None else DeliveryState.WAITING
        self._end(delivery, state, error, due, None if due is not None else now)

    def _end(
        self,
        delivery: int,
        state: DeliveryState,
        error: str | None,
        due: int | None,
        at: int | None,
    ) -> None:
        self._db.execute(
            "UPDATE deliveries SET state = ?, error = ?, due = ?, ended_at = ? WHERE id = ?",
            (state, error, due, at, delivery),
        )


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
            f"SELECT id, notify FROM jobs WHERE id IN {LISTED} AND {_WISHED}", (as_json(jobs),)
        )
        return {int(str(job)): readable(wishes_decoder.decode, blob) or [] for job, blob in rows}

    def is_wished(self) -> bool:
        """Whether there are jobs whose submitter wants to be told anything."""
        rows = self._reader.rows(f"SELECT {_ANYBODY}")
        return bool(rows[0][0])

    def stuck(self) -> dict[str, list[int]]:
        """What was stuck at the last look."""
        return msgspec.json.decode(self._reader.setting(STUCK) or "{}", type=dict[str, list[int]])

    def gatherings(self) -> list[tuple[int, Gathering]]:
        rows = self._reader.rows("SELECT id, gathering FROM gatherings ORDER BY id")
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


def _message(blob: object) -> Message:
    """One damaged record stops no other message."""
    return readable(message_decoder.decode, blob) or _DAMAGED


def _target(blob: object) -> Target:
    """The same; one that leads nowhere is tried in vain, and given up."""
    return readable(target_decoder.decode, blob) or _NOWHERE


def _row(*columns: Any) -> DeliveryRow:  # noqa: ANN401 - as the table has them
    *plain, target, message = columns
    plain[2] = DeliveryState(plain[2])
    known = _target(target), _message(message)
    return DeliveryRow._make([*plain, *known])
