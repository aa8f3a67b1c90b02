"""The writing half of the store: every change there is, as one method each.

Called by the writer's thread alone, inside its transaction; nothing here begins or commits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from jobd.contract.models import State
from jobd.core.ready import Entry
from jobd.core.states import Outcome, Verdict, could_not_start, waiting_reason
from jobd.store.records import (
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
    "tags", "held", "due", "due_fixed", "policy", "key", "submitted_at", "queued_at",
)  # fmt: skip
_INSERT: Final = f"INSERT INTO jobs (id, spec, array, array_index, {', '.join(_SHARED)})"
_INSERT_MARKS: Final = ",".join("?" * (4 + len(_SHARED)))
_ENTRY: Final = "id, priority, group_name, slots, gpus"
"""The columns of an `Entry`."""
DAMAGED: Final = could_not_start("its record is damaged")
REMEMBER_REQUESTS_US: Final = 3600 * 1_000_000
"""How long an answered request is remembered, in microseconds."""


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
    def job(self) -> int:
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

    @property
    def job(self) -> int:
        return self.entry.id


def _shared_values(terms: Terms, now: int) -> tuple[object, ...]:
    """In the order of `_SHARED`."""
    tags = msgspec.json.encode(terms.tags).decode() if terms.tags else None
    policy = None if terms.policy == Policy() else policy_encoder.encode(terms.policy)
    return (
        "pending", waiting_reason(held=terms.held, unmet=0, due=terms.due, failures=0),
        terms.priority, terms.name, terms.user, terms.environment, terms.group, terms.slots,
        terms.gpus, tags, terms.held, terms.due, terms.due_fixed, policy, terms.key, now, now,
    )  # fmt: skip


class Store:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._last_event: int | None = None

    # --- environments ---------------------------------------------------------------------

    def use_environment(self, environment: dict[bytes, bytes], uses: int) -> int:
        """The id of this content, stored now if it is new; counts `uses` more jobs."""
        digest, content = pack_environment(environment)
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

    def drop_staged(self, first: int, last: int, limit: int) -> bool:
        """Delete a slice of a batch that was never finished; True when none is left."""
        rows = self._db.execute(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE id BETWEEN ? AND ? LIMIT ?)"
            " RETURNING id",
            (first, last, limit),
        ).fetchall()
        if len(rows) == limit:
            return False
        self._db.execute("DELETE FROM events WHERE job BETWEEN ? AND ?", (first, last))
        (environment,) = self._db.execute(
            "SELECT environment FROM staged WHERE first = ?", (first,)
        ).fetchone()
        self.leave_environment(environment, last - first + 1)
        self.unstage(first)
        return True

    def started(
        self, job: int, token: str, slot: int, gpus: Sequence[int], host: str, now: int
    ) -> Started | None:
        """The next attempt of a pending job begins; None: its record is damaged, it has failed."""
        row = self._db.execute(
            "UPDATE jobs SET state = 'running', reason = NULL, attempt = attempt + 1,"
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
            " VALUES (?, ?, ?, ?, ?, 'running', ?, ?)",
            (job, attempt, token, slot, host, now, ",".join(map(str, gpus)) or None),
        )
        return Started(entry, attempt, token, spec, environment, now, rules, failures, array_index)

    def _array_spec(self, array: int) -> bytes:
        row = self._db.execute("SELECT spec FROM arrays WHERE first = ?", (array,)).fetchone()
        return bytes(row[0]) if row else b""

    def _damaged(self, job: int, now: int) -> None:
        """One unreadable record must not stop the others."""
        self._db.execute(
            "UPDATE jobs SET state = 'failed', reason = ?, attempt = attempt - 1,"
            " started_at = NULL, finished_at = ? WHERE id = ?",
            (DAMAGED, now, job),
        )

    def look(self, job: int) -> Look | None:
        """What a decision about a job needs; None: there is no such job."""
        row = self._db.execute(
            f"SELECT {_ENTRY}, state, reason, attempt, environment, held, paused, parents, unmet,"
            " due FROM jobs AS j WHERE id = ? AND"
            " NOT EXISTS (SELECT 1 FROM staged WHERE j.id BETWEEN first AND last)",
            (job,),
        ).fetchone()
        if row is None:
            return None
        return Look(
            Entry(*row[:5]), State(row[5]), row[6], row[7], row[8], bool(row[9]), bool(row[10]),
            *row[11:],
        )  # fmt: skip

    def never_started(self, job: int, attempt: int) -> None:
        """The attempt was on disk and its process never came to be: as if not taken."""
        self._db.execute("DELETE FROM attempts WHERE job = ? AND attempt = ?", (job, attempt))
        self._db.execute(
            "UPDATE jobs SET state = 'pending', reason = 'queued', stop = NULL, attempt = ?,"
            " started_at = NULL WHERE id = ?",
            (attempt - 1, job),
        )

    def ended(
        self, job: int, attempt: int, pid: int | None, outcome: Outcome, verdict: Verdict, now: int
    ) -> None:
        pending = verdict.state is State.PENDING
        state = "failed" if pending else verdict.state.value
        cpu = None if outcome.cpu_s is None else round(outcome.cpu_s * 1e6)
        self._db.execute(
            "UPDATE attempts SET state = ?, reason = ?, finished_at = ?, exit_code = ?,"
            " signal = ?, pid = ?, cpu_us = ?, max_rss_kb = ? WHERE job = ? AND attempt = ?",
            (
                state, verdict.reason, now, outcome.exit_code, outcome.signal, pid, cpu,
                outcome.max_rss_kb, job, attempt,
            ),
        )  # fmt: skip
        if pending:
            self.requeued(job, now)
        else:
            self._db.execute(
                "UPDATE jobs SET state = ?, reason = ?, finished_at = ?, stop = NULL WHERE id = ?",
                (state, verdict.reason, now, job),
            )

    def requeued(self, job: int, now: int) -> None:
        """Back into the queue; the attempts so far and their output stay."""
        self._db.execute(
            "UPDATE jobs SET state = 'pending', reason = 'queued', stop = NULL, progress = NULL,"
            " progress_message = NULL, queued_at = ?, started_at = NULL, finished_at = NULL"
            " WHERE id = ?",
            (now, job),
        )

    def renew_environment(self, job: int, old: int, new: int) -> None:
        self._db.execute("UPDATE jobs SET environment = ? WHERE id = ?", (new, job))
        self.leave_environment(old)

    def stopped_pending(self, job: int, reason: str, now: int) -> None:
        self._db.execute(
            "UPDATE jobs SET state = 'stopped', reason = ?, finished_at = ? WHERE id = ?",
            (reason, now, job),
        )

    def stop_ordered(self, job: int, order: StopOrder) -> None:
        self._db.execute(
            "UPDATE jobs SET stop = ? WHERE id = ?", (msgspec.msgpack.encode(order), job)
        )

    def progressed(self, job: int, percent: float, message: str | None) -> None:
        self._db.execute(
            "UPDATE jobs SET progress = ?, progress_message = ? WHERE id = ?",
            (percent, message, job),
        )

    def removed(self, job: int, attempts: int, environment: int) -> None:
        self._db.execute("DELETE FROM attempts WHERE job = ?", (job,))
        self._db.execute("DELETE FROM jobs WHERE id = ?", (job,))
        self.leave_environment(environment)
        if attempts:
            self._db.execute("INSERT INTO deletions VALUES (?, ?)", (job, attempts))

    def deleted(self, jobs: Iterable[int]) -> None:
        """The output files of these are gone."""
        self._db.executemany("DELETE FROM deletions WHERE job = ?", [(job,) for job in jobs])

    # --- history --------------------------------------------------------------------------

    def event(
        self, job: int | None, event: str, user: str, now: int, data: bytes | None = None
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

    def submitted_events(self, first: int, count: int, user: str, now: int) -> None:
        self._db.executemany(
            "INSERT INTO events (at, job, event, user) VALUES (?, ?, 'submitted', ?)",
            [(now, first + number, user) for number in range(count)],
        )
        (self._last_event,) = self._db.execute("SELECT last_insert_rowid()").fetchone()

    # --- requests and settings --------------------------------------------------------------

    def answered(self, request: bytes) -> bytes | None:
        row = self._db.execute("SELECT reply FROM requests WHERE id = ?", (request,)).fetchone()
        return bytes(row[0]) if row else None

    def answer(self, request: bytes, reply: bytes, now: int) -> None:
        self._db.execute("INSERT INTO requests VALUES (?, ?, ?)", (request, now, reply))

    def forget_requests(self, now: int) -> None:
        self._db.execute("DELETE FROM requests WHERE at < ?", (now - REMEMBER_REQUESTS_US,))

    def setting(self, name: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?",
            (name, value, value),
        )
