"""New jobs: written piece by piece, hidden, and made visible in one step."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import msgspec

from jobd.contract.models import DEFAULT_GROUP
from jobd.contract.states import Reason, State
from jobd.core.ready_queue import Entry
from jobd.core.transitions import waiting_reason
from jobd.store.environments import Environments
from jobd.store.jobs import ENTRY
from jobd.store.records import (
    Gathering,
    Policy,
    Spec,
    Terms,
    gathering_encoder,
    policy_encoder,
    spec_encoder,
    wishes_encoder,
)
from jobd.store.settings import Settings

_SHARED: Final = (
    "state", "reason", "priority", "name", "user", "environment", "group_name", "slots", "gpus",
    "tags", "held", "parents", "unmet", "due", "due_fixed", "policy", "key", "notify",
    "submitted_at", "queued_at", "finished_at",
)  # fmt: skip
_INSERT: Final = f"INSERT INTO jobs (id, spec, array, array_index, {', '.join(_SHARED)})"
_INSERT_MARKS: Final = ",".join("?" * (4 + len(_SHARED)))
_QUEUED: Final = f"state = '{State.PENDING}' AND reason = '{Reason.QUEUED}'"


def _shared_values(terms: Terms, now: int) -> tuple[object, ...]:
    """In the order of `_SHARED`."""
    tags = msgspec.json.encode(terms.tags).decode() if terms.tags else None
    notify = wishes_encoder.encode(terms.notify) if terms.notify else None
    policy = None if terms.policy == Policy() else policy_encoder.encode(terms.policy)
    state, end = (State.PENDING, None) if terms.failed is None else (State.FAILED, now)
    reason = terms.failed or waiting_reason(
        held=terms.held, unmet=terms.unmet, due=terms.due, failures=0
    )
    return (
        state.value, reason, terms.priority, terms.name, terms.user, terms.environment, terms.group,
        terms.slots, terms.gpus, tags, terms.held, terms.parents, terms.unmet,
        terms.due, terms.due_fixed, policy, terms.key, notify, now, now, end,
    )  # fmt: skip


class Batches:
    """Jobs that come together: the rows that they begin with, `staged` and `arrays`.

    Called by the writer's thread alone, inside its transaction. Promises that nobody sees a job of
    a staged range, that a batch which was never finished goes without a trace, and that a batch
    costs no look at each of its jobs where all of them are alike.
    """

    def __init__(self, connection: sqlite3.Connection, environments: Environments) -> None:
        self._db = connection
        self._environments = environments
        self._settings = Settings(connection)

    # --- written -------------------------------------------------------------------------------

    def insert_jobs(self, first: int, specs: Sequence[Spec], terms: Terms, now: int) -> None:
        """Pending, with consecutive ids from `first` on."""
        encode = spec_encoder.encode
        self._note_wishes(terms)
        shared = _shared_values(terms, now)
        self._db.executemany(
            f"{_INSERT} VALUES ({_INSERT_MARKS})",
            [
                (first + number, encode(spec), None, terms.array_index, *shared)
                for number, spec in enumerate(specs)
            ],
        )

    def add_array(self, first: int, count: int, spec: Spec) -> None:
        """What the elements share; they themselves follow piece by piece."""
        self._db.execute(
            "INSERT INTO arrays VALUES (?, ?, ?, ?)",
            (first, first + count - 1, spec_encoder.encode(spec), count),
        )

    def add_batch(self, first: int, last: int) -> None:
        """That these came together. Of earlier ones those of which no job is left are forgotten."""
        # Bounded by the key, too: those of which jobs are left are not looked through.
        oldest = "IFNULL((SELECT MIN(id) FROM jobs), 0)"
        self._db.execute(f"DELETE FROM batches WHERE first < {oldest} AND last < {oldest}")
        self._db.execute("INSERT INTO batches VALUES (?, ?)", (first, last))

    def insert_elements(
        self, array: int, first: int, indexes: range, terms: Terms, now: int
    ) -> None:
        """Elements of an array, with consecutive ids from `first` and these indexes."""
        marks = ",".join("?" * len(_SHARED))
        self._note_wishes(terms)
        self._db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            f" {_INSERT} SELECT ? + i, x'', ?, ? + i, {marks} FROM n",
            (len(indexes) - 1, first, array, indexes.start, *_shared_values(terms, now)),
        )

    def add_gathering(self, gathering: Gathering) -> None:
        """Somebody wants to be told once all of this has ended, in an environment that was counted
        for it.
        """
        self._settings.note_wish()
        self._db.execute(
            "INSERT INTO gatherings (gathering, environment) VALUES (?, ?)",
            (gathering_encoder.encode(gathering), gathering.target.environment),
        )

    def _note_wishes(self, terms: Terms) -> None:
        if terms.notify:
            self._settings.note_wish()

    # --- hidden --------------------------------------------------------------------------------

    def stage(self, first: int, last: int, environment: int) -> None:
        """Hide a range of jobs until `unstage`."""
        self._db.execute("INSERT INTO staged VALUES (?, ?, ?)", (first, last, environment))

    def unstage(self, first: int) -> None:
        self._db.execute("DELETE FROM staged WHERE first = ?", (first,))

    def is_staged(self, job: int) -> bool:
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM staged WHERE ? BETWEEN first AND last)", (job,)
        ).fetchone()
        return bool(row[0])

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
            self._environments.leave(environment, count)
        self._db.execute("DELETE FROM events WHERE job BETWEEN ? AND ?", (lowest, last))
        self._db.execute("DELETE FROM dependencies WHERE child BETWEEN ? AND ?", (lowest, last))
        if all_gone:
            self._db.execute("DELETE FROM arrays WHERE first = ?", (first,))
            self.unstage(first)
        else:
            self._db.execute("UPDATE staged SET last = ? WHERE first = ?", (lowest - 1, first))
        return all_gone

    # --- revealed ------------------------------------------------------------------------------

    def counts_in(self, first: int, last: int) -> dict[tuple[State, str], int]:
        """How many of a range there are in each state and group."""
        rows = self._db.execute(
            "SELECT state, MIN(group_name), MAX(group_name), COUNT(*) FROM jobs"
            " WHERE id BETWEEN ? AND ? GROUP BY state",
            (first, last),
        ).fetchall()
        if all(low == high for _, low, high, _ in rows):
            # A million jobs of one group need not be sorted by it.
            return {(State(state), group): count for state, group, _, count in rows}
        counted = self._db.execute(
            "SELECT state, group_name, COUNT(*) FROM jobs WHERE id BETWEEN ? AND ? GROUP BY 1, 2",
            (first, last),
        )
        return {(State(state), group): count for state, group, count in counted}

    def counts(self) -> dict[tuple[State, str], int]:
        """The same of all jobs, of which none may be hidden; costs a look at each."""
        states = self._db.execute("SELECT state, COUNT(*) FROM jobs WHERE id > 0 GROUP BY 1")
        found = {(State(state), DEFAULT_GROUP): count for state, count in states}
        others = self._db.execute(
            "SELECT state, group_name, COUNT(*) FROM jobs NOT INDEXED WHERE group_name <> ?"
            " GROUP BY 1, 2",
            (DEFAULT_GROUP,),
        )
        for state, group, count in others:
            found[State(state), group] = count
            found[State(state), DEFAULT_GROUP] -= count
        return found

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
            rows = self._db.execute(f"SELECT {ENTRY} {ready} ORDER BY id", (first, last))
            for _, kind in groupby(enumerate(rows), lambda at: (at[1][0] - at[0], *at[1][1:])):
                (_, begin), *more = kind
                yield Entry(*begin), more[-1][1][0] if more else begin[0]

    def failed_in(self, first: int, last: int) -> list[int]:
        rows = self._db.execute(
            f"SELECT id FROM jobs WHERE id BETWEEN ? AND ? AND state = '{State.FAILED}'",
            (first, last),
        )
        return [job for (job,) in rows]
