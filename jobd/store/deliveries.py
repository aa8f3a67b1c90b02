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
from typing import Final, NamedTuple

from jobd.contract.destinations import Destination
from jobd.contract.states import DeliveryState
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
from jobd.store.conditions import LISTED, as_json
from jobd.store.environments import Environments
from jobd.store.rows import readable
from jobd.store.settings import CURSOR, STUCK, Settings

KEPT: Final = 1000
"""Messages that are over and still listed."""
WISHED: Final = "notify IS NOT NULL"
_DAMAGED: Final = Message(occasion=TEST, at=0, said="(damaged record)")
_NOWHERE: Final = Target(rule="(damaged record)", to=Destination(argv=["false"]), retries=0)
ANYBODY: Final = f"EXISTS (SELECT 1 FROM jobs WHERE {WISHED}) OR EXISTS (SELECT 1 FROM gatherings)"
"""Whether somebody wants to be told of jobs that he has submitted."""


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


class Deliveries:
    """The table `deliveries`, and the cursor. Called by the writer's thread, inside its
    transaction.

    Promises that what the history has made due is on disk in the same commit as that it was read:
    neither lost nor doubled; and that a try is on disk before it begins.
    """

    def __init__(self, connection: sqlite3.Connection, environments: Environments) -> None:
        self._db = connection
        self._environments = environments
        self._settings = Settings(connection)

    def begin(self, now: int, *, wanted: bool) -> None:
        """A daemon starts: nothing is being sent any more, and what waits is tried at once,
        whatever the clock said when it was put off. `wanted`: there are rules.
        """
        if wanted:
            self._settings.note_wish()
        self._db.execute(
            "UPDATE deliveries SET state = ?, due = MIN(due, ?) WHERE due IS NOT NULL",
            (DeliveryState.WAITING, now),
        )

    def rest(self) -> bool:
        """Where no job's submitter wants to be told anything, the history need not be read."""
        found = self._db.execute(
            f"DELETE FROM settings WHERE name = '{CURSOR}' AND NOT ({ANYBODY})"
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
        row = self._db.execute(
            "DELETE FROM gatherings WHERE id = ? RETURNING environment", (gathering,)
        ).fetchone()
        if row is not None:
            self.note(None, [planned], now)
            self._environments.leave(row[0])

    def shift(self, jump: int) -> None:
        """The wall clock was set by so many microseconds: what was put off keeps its span."""
        self._db.execute("UPDATE deliveries SET due = due + ? WHERE due IS NOT NULL", (jump,))

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
            whole = message_of(row[1]).and_more(one.message for one in them)
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
            "INSERT INTO deliveries (token, place, target, environment, message, gathered, made_at,"
            " state, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                secrets.token_hex(8), place, encoder.encode(one.target),
                self._environments.hold(one.target.environment), encoder.encode(one.message),
                due is not None, now, DeliveryState.WAITING, now if due is None else due,
            ),
        )  # fmt: skip
        return int(made.lastrowid or 0)

    def take(self, now: int, busy: Collection[bytes], limit: int) -> list[Taken]:
        """The first that are due, one a place; from here on they are being sent."""
        chosen = as_json(self._first_due(now, busy, limit))
        self._db.execute(
            f"UPDATE deliveries SET state = ?, tries = tries + 1 WHERE id IN {LISTED}",
            (DeliveryState.SENDING, chosen),
        )
        rows = self._db.execute(
            f"SELECT id, token, place, target, message, tries FROM deliveries WHERE id IN {LISTED}"
            " ORDER BY due, id",
            (chosen,),
        )
        return [
            Taken(delivery, token, place, target_of(target), message_of(message), tries)
            for delivery, token, place, target, message, tries in rows
        ]

    def _first_due(self, now: int, busy: Collection[bytes], limit: int) -> list[int]:
        """Only as many are looked at as it takes. Those that have failed before have their turn
        behind the others: where many hang, what can be delivered does not wait for them.
        """
        places, found = set(busy), list[int]()
        for which in ("tries = 0", "tries > 0"):
            rows = self._db.execute(
                f"SELECT id, place FROM deliveries WHERE due <= ? AND state = ? AND {which}"
                " ORDER BY due, id",
                (now, DeliveryState.WAITING),
            )
            for delivery, place in rows:
                if len(found) == limit:
                    return found
                if place not in places:
                    places.add(place)
                    found.append(delivery)
        return found

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
        row = self._db.execute(
            "UPDATE deliveries SET state = ?, error = ?, due = ?, ended_at = ? WHERE id = ?"
            " RETURNING environment",
            (state, error, due, at, delivery),
        ).fetchone()
        if due is None and row is not None and row[0] is not None:
            self._db.execute("UPDATE deliveries SET environment = NULL WHERE id = ?", (delivery,))
            self._environments.leave(row[0])


def message_of(blob: object) -> Message:
    """One damaged record stops no other message."""
    return readable(message_decoder.decode, blob) or _DAMAGED


def target_of(blob: object) -> Target:
    """The same; one that leads nowhere is tried in vain, and given up."""
    return readable(target_decoder.decode, blob) or _NOWHERE
