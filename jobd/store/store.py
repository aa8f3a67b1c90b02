"""The writing half of the store: every change there is, as one method each.

Called by the writer's thread alone, inside its transaction; nothing here begins or commits.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, Final

import msgspec
from msgspec import Struct

from jobd.contract.states import UNFINISHED, EventName, Reason, State, could_not_start
from jobd.core.ready_queue import Entry
from jobd.core.transitions import Outcome, Verdict, waiting_reason
from jobd.store.conditions import condition, names
from jobd.store.records import (
    Filter,
    Policy,
    Spec,
    StopOrder,
    Terms,
    pack_environment,
    policy_decoder,
    policy_encoder,
    spec_decoder,
    spec_encoder,
)

_SHARED: Final = (
    "state", "reason", "priority", "name", "user", "environment", "group_name", "slots", "gpus",
    "tags", "held", "parents", "unmet", "due", "due_fixed", "policy", "key", "submitted_at",
    "queued_at", "finished_at",
)  # fmt: skip
_INSERT: Final = f"INSERT INTO jobs (id, spec, array, array_index, {', '.join(_SHARED)})"
_INSERT_MARKS: Final = ",".join("?" * (4 + len(_SHARED)))
_ENTRY: Final = "id, priority, group_name, slots, gpus"
"""The columns of an `Entry`."""
DAMAGED: Final = could_not_start("its record is damaged")
REMEMBER_REQUESTS: Final = 65_536
"""How many answered requests are remembered; by number, since a clock can be set.

A client asks again for some ten seconds, in which no machine does nearly so many.
"""
FORGET_REQUESTS_EVERY: Final = 256
"""Requests between two times that old ones are forgotten."""


class Started(Struct, frozen=True):
    """An attempt that has just been written down as running."""

    entry: Entry
    attempt: int
    token: str
    spec: Spec
    environment: int
    at: int
    policy: Policy
    failures: int
    """Attempts that failed before it, since the submit or the last restart."""
    array_index: int | None

    @property
    def id(self) -> int:
        return self.entry.id


class Look(Struct, frozen=True):
    """What a decision about a job needs."""

    entry: Entry
    state: State
    reason: str | None
    attempt: int
    environment: int
    held: bool
    paused: bool
    parents: int
    unmet: int
    due: int | None
    failures: int

    @property
    def id(self) -> int:
        return self.entry.id

    def due_after(self, now: int) -> int | None:
        """Its time, if that is still to come."""
        return self.due if self.due is not None and self.due > now else None


def _shared_values(terms: Terms, now: int) -> tuple[object, ...]:
    """In the order of `_SHARED`."""
    tags = msgspec.json.encode(terms.tags).decode() if terms.tags else None
    policy = None if terms.policy == Policy() else policy_encoder.encode(terms.policy)
    state, end = (State.PENDING, None) if terms.failed is None else (State.FAILED, now)
    reason = terms.failed or waiting_reason(
        held=terms.held, unmet=terms.unmet, due=terms.due, failures=0
    )
    return (
        state.value, reason, terms.priority, terms.name, terms.user, terms.environment, terms.group,
        terms.slots, terms.gpus, tags, terms.held, terms.parents, terms.unmet,
        terms.due, terms.due_fixed, policy, terms.key, now, now, end,
    )  # fmt: skip


_LOOK: Final = (
    f"SELECT {_ENTRY}, state, reason, attempt, environment, held, paused, parents, unmet, due,"
    " failures FROM jobs"
)


_KEPT: Final = "due = IIF(failures = 0, due, NULL)"
"""Of a stopped job: the time that it was submitted for, not that of a retry."""


def _json(jobs: Sequence[int]) -> str:
    """As one value, since the number of parameters of a statement is limited."""
    return msgspec.json.encode(jobs).decode()


_STOPPED: Final = f"state = '{State.STOPPED}', reason = ?, finished_at = ?, {_KEPT}"
_QUEUED: Final = f"state = '{State.PENDING}' AND reason = '{Reason.QUEUED}'"
_DUE: Final = f"state = '{State.PENDING}' AND due IS NOT NULL"
_SEEN: Final = "NOT EXISTS (SELECT 1 FROM staged WHERE jobs.id BETWEEN first AND last)"


def _look(row: tuple[Any, ...]) -> Look:
    return Look(
        Entry(*row[:5]), State(row[5]), row[6], row[7], row[8], bool(row[9]), bool(row[10]),
        *row[11:],
    )  # fmt: skip


class Store:
    """A method a change. Which follow from each other is the business of `jobs.moves`."""

    def __init__(self, connection: sqlite3.Connection, env_exclude: Sequence[str] = ()) -> None:
        self._db = connection
        self._excluded = [os.fsencode(pattern) for pattern in env_exclude]
        self._last_event: int | None = None

    # --- environments ---------------------------------------------------------------------

    def use_environment(self, environment: dict[bytes, bytes], uses: int) -> int:
        """The id of this content, stored now if it is new; counts `uses` more jobs.

        The one way by which an environment gets to the disk: what is excluded ends here.
        """
        kept = {
            name: value
            for name, value in environment.items()
            if not any(fnmatchcase(name, pattern) for pattern in self._excluded)
        }
        digest, content = pack_environment(kept)
        row = self._db.execute(
            "INSERT INTO environments (digest, content, uses) VALUES (?, ?, ?)"
            " ON CONFLICT (digest) DO UPDATE SET uses = uses + excluded.uses RETURNING id",
            (digest, content, uses),
        ).fetchone()
        return int(row[0])

    def leave_environment(self, environment: int, uses: int = 1) -> None:
        self._db.execute(
            "UPDATE environments SET uses = uses - ? WHERE id = ?", (uses, environment)
        )
        self._db.execute("DELETE FROM environments WHERE id = ? AND uses <= 0", (environment,))

    # --- jobs -----------------------------------------------------------------------------

    def insert_jobs(self, first: int, specs: Sequence[Spec], terms: Terms, now: int) -> None:
        """Pending, with consecutive ids from `first` on."""
        encode = spec_encoder.encode
        shared = _shared_values(terms, now)
        self._db.executemany(
            f"{_INSERT} VALUES ({_INSERT_MARKS})",
            [
                (first + number, encode(spec), None, None, *shared)
                for number, spec in enumerate(specs)
            ],
        )

    def add_array(self, first: int, count: int, spec: Spec) -> None:
        """What the elements share; they themselves follow piece by piece."""
        self._db.execute(
            "INSERT INTO arrays VALUES (?, ?, ?, ?)",
            (first, first + count - 1, spec_encoder.encode(spec), count),
        )

    def insert_elements(
        self, array: int, first: int, indexes: range, terms: Terms, now: int
    ) -> None:
        """Elements of an array, with consecutive ids from `first` and these indexes."""
        marks = ",".join("?" * len(_SHARED))
        self._db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            f" {_INSERT} SELECT ? + i, x'', ?, ? + i, {marks} FROM n",
            (len(indexes) - 1, first, array, indexes.start, *_shared_values(terms, now)),
        )

    def stage(self, first: int, last: int, environment: int) -> None:
        """Hide a range of jobs until `unstage`."""
        self._db.execute("INSERT INTO staged VALUES (?, ?, ?)", (first, last, environment))

    def unstage(self, first: int) -> None:
        self._db.execute("DELETE FROM staged WHERE first = ?", (first,))

    def drop_staged(self, first: int, limit: int) -> bool:
        """Delete a slice of a batch that was never finished, its end first; True: none is left.

        Jobs that were not yet written have counted for the batch's environment all the same.
        """
        staged = self._db.execute(
            "SELECT last, environment FROM staged WHERE first = ?", (first,)
        ).fetchone()
        if staged is None:
            return True
        last, shared = staged
        rows = self._db.execute(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE id BETWEEN ? AND ?"
            " ORDER BY id DESC LIMIT ?) RETURNING id, environment",
            (first, last, limit),
        ).fetchall()
        all_gone = len(rows) < limit
        lowest = first if all_gone else min(job for job, _ in rows)
        uses = Counter(environment for _, environment in rows)
        uses[shared] += last - lowest + 1 - len(rows)
        for environment, count in uses.items():
            self.leave_environment(environment, count)
        self._db.execute("DELETE FROM events WHERE job BETWEEN ? AND ?", (lowest, last))
        self._db.execute("DELETE FROM dependencies WHERE child BETWEEN ? AND ?", (lowest, last))
        if all_gone:
            self._db.execute("DELETE FROM arrays WHERE first = ?", (first,))
            self.unstage(first)
        else:
            self._db.execute("UPDATE staged SET last = ? WHERE first = ?", (lowest - 1, first))
        return all_gone

    def started(
        self, job: int, token: str, slot: int, gpus: Sequence[int], host: str, now: int
    ) -> Started | None:
        """The next attempt of a pending job begins; None: its record is damaged, it has failed."""
        row = self._db.execute(
            f"UPDATE jobs SET state = '{State.RUNNING}', reason = NULL, attempt = attempt + 1,"
            " started_at = ?, progress = NULL, progress_message = NULL WHERE id = ?"
            f" RETURNING {_ENTRY}, attempt, spec, environment, policy, failures, array_index,"
            " array",
            (now, job),
        ).fetchone()
        entry, (attempt, blob, environment, policy, failures, array_index, array) = (
            Entry(*row[:5]), row[5:],
        )  # fmt: skip
        try:
            spec = spec_decoder.decode(blob if array is None else self._array_spec(array))
            rules = policy_decoder.decode(policy) if policy else Policy()
        except msgspec.DecodeError:
            self._damaged(job, now)
            return None
        self._db.execute(
            "INSERT INTO attempts (job, attempt, token, slot, host, state, started_at, gpus)"
            f" VALUES (?, ?, ?, ?, ?, '{State.RUNNING}', ?, ?)",
            (job, attempt, token, slot, host, now, ",".join(map(str, gpus)) or None),
        )
        return Started(entry, attempt, token, spec, environment, now, rules, failures, array_index)

    def _array_spec(self, array: int) -> bytes:
        row = self._db.execute("SELECT spec FROM arrays WHERE first = ?", (array,)).fetchone()
        return bytes(row[0]) if row else b""

    def _damaged(self, job: int, now: int) -> None:
        """One unreadable record must not stop the others."""
        self._db.execute(
            f"UPDATE jobs SET state = '{State.FAILED}', reason = ?, attempt = attempt - 1,"
            " started_at = NULL, finished_at = ? WHERE id = ?",
            (DAMAGED, now, job),
        )

    def look(self, job: int, *, staged: bool = False) -> Look | None:
        """None: there is no such job, or (unless `staged`) none that anybody can see yet."""
        seen = "" if staged else f" AND {_SEEN}"
        row = self._db.execute(f"{_LOOK} WHERE id = ?{seen}", (job,)).fetchone()
        return None if row is None else _look(row)

    def looks(self, jobs: Sequence[int]) -> dict[int, Look]:
        """The same of many at once; what does not exist is left out."""
        rows = self._db.execute(
            f"{_LOOK} WHERE id IN (SELECT value FROM json_each(?)) AND {_SEEN}", (_json(jobs),)
        )
        return {look.id: look for look in map(_look, rows)}

    def matching(self, jobs: Sequence[int], chosen: Filter) -> set[int]:
        """Those of them that these filters mean as they are now, whatever their state."""
        where, values = condition(chosen, with_states=False)
        rows = self._db.execute(
            "SELECT j.id FROM jobs AS j"
            f" WHERE j.id IN (SELECT value FROM json_each(?)) AND {where}",
            (_json(jobs), *values),
        )
        return {job for (job,) in rows}

    def is_staged(self, job: int) -> bool:
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM staged WHERE ? BETWEEN first AND last)", (job,)
        ).fetchone()
        return bool(row[0])

    def by_key(self, key: str) -> tuple[int, Spec | None] | None:
        """The job with this key, and what was submitted for it (None: unreadable)."""
        row = self._db.execute("SELECT id, spec FROM jobs WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            return int(row[0]), spec_decoder.decode(row[1])
        except msgspec.DecodeError:
            return int(row[0]), None

    def counts_in(self, first: int, last: int) -> dict[State, int]:
        rows = self._db.execute(
            "SELECT state, COUNT(*) FROM jobs WHERE id BETWEEN ? AND ? GROUP BY state",
            (first, last),
        )
        return {State(state): count for state, count in rows}

    def ready_in(self, first: int, last: int) -> Iterator[tuple[Entry, int]]:
        """Those of a range that wait for nothing but their turn: the first and the last id of
        each row of one kind.
        """
        ready = f"FROM jobs WHERE id BETWEEN ? AND ? AND {_QUEUED}"
        least = "MIN(id), MIN(priority), MIN(group_name), MIN(slots), MIN(gpus)"
        row = self._db.execute(
            f"SELECT COUNT(*), {least}, {least.replace('MIN', 'MAX')} {ready}", (first, last)
        ).fetchone()
        count, low, high = row[0], row[1:6], row[6:]
        if count and count == high[0] - low[0] + 1 and low[1:] == high[1:]:
            # A million elements of an array, and no look at each.
            yield Entry(*low), high[0]
        elif count:
            rows = self._db.execute(f"SELECT {_ENTRY} {ready} ORDER BY id", (first, last))
            for _, kind in groupby(enumerate(rows), lambda at: (at[1][0] - at[0], *at[1][1:])):
                (_, begin), *more = kind
                yield Entry(*begin), more[-1][1][0] if more else begin[0]

    def failed_in(self, first: int, last: int) -> list[int]:
        rows = self._db.execute(
            f"SELECT id FROM jobs WHERE id BETWEEN ? AND ? AND state = '{State.FAILED}'",
            (first, last),
        )
        return [job for (job,) in rows]

    # --- waiting --------------------------------------------------------------------------

    def waits(self, job: int, *, held: bool, unmet: int, due: int | None, reason: str) -> None:
        self._db.execute(
            "UPDATE jobs SET held = ?, unmet = ?, due = ?, reason = ? WHERE id = ?",
            (held, unmet, due, reason, job),
        )

    def due(self, now: int, limit: int) -> list[Look]:
        """The first jobs whose time has come."""
        rows = self._db.execute(
            f"{_LOOK} WHERE {_DUE} AND due <= ? ORDER BY due, id LIMIT ?", (now, limit)
        )
        return [_look(row) for row in rows]

    def next_due(self) -> int | None:
        row = self._db.execute(
            f"SELECT due FROM jobs WHERE {_DUE} ORDER BY due, id LIMIT 1"
        ).fetchone()
        return None if row is None else int(row[0])

    def shift_delays(self, jump: int) -> None:
        """The wall clock was set by so many microseconds; what waits for a span goes with it."""
        self._db.execute(
            "UPDATE jobs SET due = due + ? WHERE due IS NOT NULL AND due_fixed = 0", (jump,)
        )

    def failed_pending(self, job: int, reason: str, now: int) -> None:
        """It never ran; what it would have waited for, its time too, stays on record."""
        self._db.execute(
            f"UPDATE jobs SET state = '{State.FAILED}', reason = ?, finished_at = ? WHERE id = ?",
            (reason, now, job),
        )

    def fails_for(self, job: int, reason: str) -> None:
        """It has failed already, and would for another reason now."""
        self._db.execute("UPDATE jobs SET reason = ? WHERE id = ?", (reason, job))

    def edited(self, job: int, change: Mapping[str, object]) -> None:
        """Columns and their new values; the names are ours."""
        names = ", ".join(f"{name} = ?" for name in change)
        self._db.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*change.values(), job))

    def policy_of(self, job: int) -> Policy:
        (blob,) = self._db.execute("SELECT policy FROM jobs WHERE id = ?", (job,)).fetchone()
        return policy_decoder.decode(blob) if blob else Policy()

    def set_paused(self, job: int, *, paused: bool) -> None:
        self._db.execute("UPDATE jobs SET paused = ? WHERE id = ?", (paused, job))

    # --- groups ---------------------------------------------------------------------------

    def groups(self) -> list[tuple[str, int | None, bool]]:
        """Name, workers (None: as many as there are), whether it is paused."""
        rows = self._db.execute("SELECT name, workers, paused FROM groups ORDER BY name")
        return [(name, workers, bool(paused)) for name, workers, paused in rows]

    def set_group(self, name: str, workers: int | None, *, paused: bool) -> None:
        self._db.execute(
            "INSERT INTO groups VALUES (?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET workers = excluded.workers, paused = excluded.paused",
            (name, workers, paused),
        )

    def remove_group(self, name: str) -> None:
        self._db.execute("DELETE FROM groups WHERE name = ?", (name,))

    def unfinished_in(self, group: str, limit: int) -> list[int]:
        """Jobs of the group that run or wait."""
        rows = self._db.execute(
            f"SELECT id FROM jobs WHERE state IN ({names(UNFINISHED)}) AND group_name = ?"
            " ORDER BY id LIMIT ?",
            (group, limit),
        )
        return [job for (job,) in rows]

    # --- attempts -------------------------------------------------------------------------

    def never_started(self, job: int, attempt: int) -> None:
        """The attempt was on disk and its process never came to be: as if not taken."""
        self._db.execute("DELETE FROM attempts WHERE job = ? AND attempt = ?", (job, attempt))
        self._db.execute(
            f"UPDATE jobs SET state = '{State.PENDING}', reason = '{Reason.QUEUED}', stop = NULL,"
            " paused = 0, attempt = ?, started_at = NULL WHERE id = ?",
            (attempt - 1, job),
        )

    def attempt_ended(
        self, job: int, attempt: int, pid: int | None, outcome: Outcome, verdict: Verdict, now: int
    ) -> None:
        """How it ended; what becomes of its job is said by `finished` or `again`."""
        cpu = None if outcome.cpu_s is None else round(outcome.cpu_s * 1e6)
        self._db.execute(
            "UPDATE attempts SET state = ?, reason = ?, finished_at = ?, exit_code = ?,"
            " signal = ?, pid = ?, cpu_us = ?, max_rss_kb = ? WHERE job = ? AND attempt = ?",
            (
                verdict.ended.value, verdict.why, now, outcome.exit_code, outcome.signal, pid, cpu,
                outcome.max_rss_kb, job, attempt,
            ),
        )  # fmt: skip

    def finished(self, job: int, state: State, reason: str | None, now: int) -> None:
        """The job that ran is over."""
        self._db.execute(
            "UPDATE jobs SET state = ?, reason = ?, finished_at = ?, stop = NULL, paused = 0"
            " WHERE id = ?",
            (state.value, reason, now, job),
        )

    def output_grew(self, job: int, size: int) -> None:
        """An attempt has left so many bytes of output."""
        self._db.execute(
            "UPDATE jobs SET output_bytes = output_bytes + ? WHERE id = ?", (size, job)
        )

    def again(self, job: int, reason: str | None, now: int, due: int | None, failures: int) -> None:
        """The daemon's own way back into the queue: at once, or not before `due`."""
        self._db.execute(
            f"UPDATE jobs SET state = '{State.PENDING}', reason = ?, stop = NULL, paused = 0,"
            " progress = NULL, progress_message = NULL, queued_at = ?, started_at = NULL,"
            " due = ?, due_fixed = 0, failures = ? WHERE id = ?",
            (reason, now, due, failures, job),
        )

    def requeued(
        self, job: int, reason: str, now: int, *, held: bool, unmet: int, due: int | None
    ) -> None:
        """The user's way back into the queue; the attempts so far and their output stay."""
        self._db.execute(
            f"UPDATE jobs SET state = '{State.PENDING}', reason = ?, stop = NULL, progress = NULL,"
            " progress_message = NULL, queued_at = ?, started_at = NULL, finished_at = NULL,"
            " held = ?, unmet = ?, due = ?, failures = 0 WHERE id = ?",
            (reason, now, held, unmet, due, job),
        )

    def renew_environment(self, job: int, old: int, new: int) -> None:
        self._db.execute("UPDATE jobs SET environment = ? WHERE id = ?", (new, job))
        self.leave_environment(old)

    def stopped_pending(self, job: int, reason: str, now: int) -> None:
        self._db.execute(
            f"UPDATE jobs SET {_STOPPED} WHERE id = ?",
            (reason, now, job),
        )

    def stopped_together(self, jobs: Sequence[int], reason: str, user: str, now: int) -> None:
        """Pending jobs, each with its event, in two statements however many they are."""
        these = _json(jobs)
        self._db.execute(
            f"UPDATE jobs SET {_STOPPED} WHERE id IN (SELECT value FROM json_each(?))",
            (reason, now, these),
        )
        self._db.execute(
            "INSERT INTO events (at, job, event, user, data)"
            f" SELECT ?, value, '{EventName.STOPPED}', ?, ? FROM json_each(?)",
            (now, user, msgspec.json.encode({"reason": reason}), these),
        )
        (self._last_event,) = self._db.execute("SELECT last_insert_rowid()").fetchone()

    def stop_ordered(self, job: int, order: StopOrder) -> None:
        self._db.execute(
            "UPDATE jobs SET stop = ? WHERE id = ?", (msgspec.msgpack.encode(order), job)
        )

    def progressed(self, job: int, percent: float | None, message: str | None) -> None:
        self._db.execute(
            "UPDATE jobs SET progress = ?, progress_message = ? WHERE id = ?",
            (percent, message, job),
        )

    def removed(self, job: int, attempts: int, environment: int) -> None:
        self._db.execute("DELETE FROM attempts WHERE job = ?", (job,))
        self._db.execute("DELETE FROM dependencies WHERE child = ?", (job,))
        (array,) = self._db.execute(
            "DELETE FROM jobs WHERE id = ? RETURNING array", (job,)
        ).fetchone()
        if array is not None:
            self._leave_array(array, 1)
        self.leave_environment(environment)
        if attempts:
            self._db.execute("INSERT INTO deletions VALUES (?, ?)", (job, attempts))

    def _leave_array(self, array: int, elements: int) -> None:
        self._db.execute("UPDATE arrays SET uses = uses - ? WHERE first = ?", (elements, array))
        self._db.execute("DELETE FROM arrays WHERE first = ? AND uses <= 0", (array,))

    def deleted(self, jobs: Iterable[int]) -> None:
        """The output files of these are gone."""
        self._db.executemany("DELETE FROM deletions WHERE job = ?", [(job,) for job in jobs])

    # --- history --------------------------------------------------------------------------

    def event(
        self, job: int | None, event: EventName, user: str, now: int, data: bytes | None = None
    ) -> None:
        """`data` is JSON."""
        self._last_event = self._db.execute(
            "INSERT INTO events (at, job, event, user, data) VALUES (?, ?, ?, ?, ?)",
            (now, job, event, user, data),
        ).lastrowid

    def take_last_event(self) -> int | None:
        """The number of the last event written since the last call."""
        last, self._last_event = self._last_event, None
        return last

    def last_seq(self) -> int:
        """The number of the last event; 0: there has been none."""
        row = self._db.execute("SELECT IFNULL(MAX(seq), 0) FROM events").fetchone()
        return int(row[0])

    def came_back(self, job: int, since: int) -> bool:
        """Whether it pended again by itself after this event, with a job that it waits for."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM events WHERE job = ? AND seq > ?"
            f" AND event = '{EventName.RESTARTED}' AND user = '')",
            (job, since),
        ).fetchone()
        return bool(row[0])

    def recall_last_event(self) -> None:
        """After a rollback: what was noted may be gone, and what others wrote is not yet told."""
        with contextlib.suppress(sqlite3.Error):
            (self._last_event,) = self._db.execute("SELECT MAX(seq) FROM events").fetchone()

    def submitted_events(self, first: int, count: int, user: str, now: int) -> None:
        self._db.executemany(
            f"INSERT INTO events (at, job, event, user) VALUES (?, ?, '{EventName.SUBMITTED}', ?)",
            [(now, first + number, user) for number in range(count)],
        )
        (self._last_event,) = self._db.execute("SELECT last_insert_rowid()").fetchone()

    # --- requests and settings --------------------------------------------------------------

    def answered(self, request: bytes) -> bytes | None:
        row = self._db.execute("SELECT reply FROM requests WHERE id = ?", (request,)).fetchone()
        return bytes(row[0]) if row else None

    def answer(self, request: bytes, reply: bytes) -> None:
        """`at` is a number that grows: earlier versions put the time there, and it goes on."""
        self._db.execute(
            "INSERT INTO requests VALUES (?, (SELECT COALESCE(MAX(at), 0) + 1 FROM requests), ?)",
            (request, reply),
        )

    def forget_requests(self, keep: int = REMEMBER_REQUESTS) -> None:
        """All but the latest, a slice at a time: more than have come since the last time."""
        self._db.execute(
            "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE at <="
            " (SELECT at FROM requests ORDER BY at DESC LIMIT 1 OFFSET ?) ORDER BY at LIMIT ?)",
            (keep, 2 * FORGET_REQUESTS_EVERY),
        )

    def setting_of(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def setting(self, name: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?",
            (name, value, value),
        )
