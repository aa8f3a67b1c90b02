"""Rows of jobs and of their attempts: every change of one that is there already."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from jobd.contract.states import UNFINISHED, Reason, State, could_not_start
from jobd.core.ready_queue import Entry
from jobd.core.transitions import Outcome, Verdict
from jobd.store.conditions import condition, names
from jobd.store.environments import Environments
from jobd.store.past import keep_past
from jobd.store.records import (
    Filter,
    Location,
    Look,
    Policy,
    Ran,
    Spec,
    Started,
    StopOrder,
    policy_decoder,
    spec_decoder,
)

DAMAGED: Final = could_not_start("its record is damaged")
ENTRY: Final = "id, priority, group_name, slots, gpus"
"""The columns of an `Entry`."""
_LOOK: Final = (
    f"SELECT {ENTRY}, state, reason, attempt, environment, held, paused, parents, unmet, due,"
    " failures FROM jobs"
)
_KEPT: Final = "due = IIF(failures = 0, due, NULL)"
"""Of a stopped job: the time that it was submitted for, not that of a retry."""
_STOPPED: Final = f"state = '{State.STOPPED}', reason = ?, finished_at = ?, {_KEPT}"
_CARRIED: Final = 2
"""As `due_fixed`: a span, which an earlier boot of the machine began."""
_DUE: Final = f"state = '{State.PENDING}' AND due IS NOT NULL"
_SEEN: Final = "NOT EXISTS (SELECT 1 FROM staged WHERE jobs.id BETWEEN first AND last)"


def _json(jobs: Sequence[int]) -> str:
    """As one value, since the number of parameters of a statement is limited."""
    return msgspec.json.encode(jobs).decode()


def _look(row: tuple[Any, ...]) -> Look:
    return Look(
        Entry(*row[:5]), State(row[5]), row[6], row[7], row[8], bool(row[9]), bool(row[10]),
        *row[11:],
    )  # fmt: skip


class Jobs:
    """The tables `jobs`, `attempts` and `deletions`; new jobs are written by `Batches`.

    Called by the writer's thread alone, inside its transaction: nothing here begins or commits.
    Each method is one change of a row, or a question that a change depends on; which changes
    follow from each other is the business of the daemon's moves. Promises that one damaged record
    stops no other job.
    """

    def __init__(self, connection: sqlite3.Connection, environments: Environments) -> None:
        self._db = connection
        self._environments = environments

    # --- what they are -------------------------------------------------------------------------

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

    def by_key(self, key: str) -> tuple[int, Spec | None] | None:
        """The job with this key, and what was submitted for it (None: unreadable)."""
        row = self._db.execute("SELECT id, spec FROM jobs WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            return int(row[0]), spec_decoder.decode(row[1])
        except msgspec.DecodeError:
            return int(row[0]), None

    def policy_of(self, job: int) -> Policy:
        (blob,) = self._db.execute("SELECT policy FROM jobs WHERE id = ?", (job,)).fetchone()
        return policy_decoder.decode(blob) if blob else Policy()

    def engine_options_of(self, job: int) -> Sequence[str]:
        """None of a damaged record: it fails once it is to start."""
        row = self._db.execute("SELECT spec, array FROM jobs WHERE id = ?", (job,)).fetchone()
        try:
            blob = row[0] if row[1] is None else self._array_spec(row[1])
            return spec_decoder.decode(blob).engine_options
        except msgspec.DecodeError:
            return ()

    def unfinished_in(self, group: str, limit: int) -> list[int]:
        """Jobs of the group that run or wait."""
        rows = self._db.execute(
            f"SELECT id FROM jobs WHERE state IN ({names(UNFINISHED)}) AND group_name = ?"
            " ORDER BY id LIMIT ?",
            (group, limit),
        )
        return [job for (job,) in rows]

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

    # --- while they wait -----------------------------------------------------------------------

    def waits(self, job: int, *, held: bool, unmet: int, due: int | None, reason: str) -> None:
        self._db.execute(
            "UPDATE jobs SET held = ?, unmet = ?, due = ?, reason = ? WHERE id = ?",
            (held, unmet, due, reason, job),
        )

    def shift_delays(self, jump: int, *, carried: bool = False) -> None:
        """The wall clock was set by so many microseconds; what waits for a span goes with it.

        `carried`: those that an earlier boot began, and no others.
        """
        self._db.execute(
            "UPDATE jobs SET due = due + ? WHERE due IS NOT NULL AND due_fixed = ?",
            (jump, _CARRIED if carried else 0),
        )

    def carry_delays(self) -> None:
        """The machine was booted: what waits for a span began to before that."""
        self._db.execute(f"UPDATE jobs SET due_fixed = {_CARRIED} WHERE {_DUE} AND due_fixed = 0")

    def settle_carried(self) -> None:
        """The clock is right: from now on they are as all others."""
        self._db.execute(f"UPDATE jobs SET due_fixed = 0 WHERE due_fixed = {_CARRIED}")

    def edited(self, job: int, change: Mapping[str, object]) -> None:
        """Columns and their new values; the names are ours."""
        names = ", ".join(f"{name} = ?" for name in change)
        self._db.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*change.values(), job))

    def failed_pending(self, job: int, reason: str, now: int) -> None:
        """It never ran; what it would have waited for, its time too, stays on record."""
        self._db.execute(
            f"UPDATE jobs SET state = '{State.FAILED}', reason = ?, finished_at = ? WHERE id = ?",
            (reason, now, job),
        )

    def fails_for(self, job: int, reason: str) -> None:
        """It has failed already, and would for another reason now."""
        self._db.execute("UPDATE jobs SET reason = ? WHERE id = ?", (reason, job))

    def stopped_pending(self, job: int, reason: str, now: int) -> None:
        self._db.execute(
            f"UPDATE jobs SET {_STOPPED} WHERE id = ?",
            (reason, now, job),
        )

    def stopped_together(self, jobs: Sequence[int], reason: str, now: int) -> None:
        """Pending jobs, in one statement however many they are."""
        self._db.execute(
            f"UPDATE jobs SET {_STOPPED} WHERE id IN (SELECT value FROM json_each(?))",
            (reason, now, _json(jobs)),
        )

    # --- attempts ------------------------------------------------------------------------------

    def started(
        self, job: int, token: str, slot: int, gpus: Sequence[int], location: Location, now: int
    ) -> Started | None:
        """The next attempt of a pending job begins; None: its record is damaged, it has failed."""
        row = self._db.execute(
            f"UPDATE jobs SET state = '{State.RUNNING}', reason = NULL, attempt = attempt + 1,"
            " started_at = ?, progress = NULL, progress_message = NULL WHERE id = ?"
            f" RETURNING {ENTRY}, attempt, spec, environment, policy, failures, array_index,"
            " array, queued_at",
            (now, job),
        ).fetchone()
        entry, (attempt, blob, environment, policy, failures, array_index, array, queued_at) = (
            Entry(*row[:5]), row[5:],
        )  # fmt: skip
        try:
            spec = spec_decoder.decode(blob if array is None else self._array_spec(array))
            rules = policy_decoder.decode(policy) if policy else Policy()
        except msgspec.DecodeError:
            self._damaged(job, now)
            return None
        self._db.execute(
            "INSERT INTO attempts"
            " (job, attempt, token, slot, host, state, started_at, gpus, engine, queued_at)"
            f" VALUES (?, ?, ?, ?, ?, '{State.RUNNING}', ?, ?, ?, ?)",
            (
                job, attempt, token, slot, location.host, now, ",".join(map(str, gpus)) or None,
                location.engine, queued_at,
            ),
        )  # fmt: skip
        return Started(
            entry, attempt, token, spec, environment, now, rules, failures, array_index,
            location.engine, queued_at,
        )  # fmt: skip

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

    def never_started(self, job: int, attempt: int) -> None:
        """The attempt was on disk and its process never came to be: as if not taken."""
        self._db.execute("DELETE FROM attempts WHERE job = ? AND attempt = ?", (job, attempt))
        self._db.execute(
            f"UPDATE jobs SET state = '{State.PENDING}', reason = '{Reason.QUEUED}', stop = NULL,"
            " paused = 0, attempt = ?, started_at = NULL WHERE id = ?",
            (attempt - 1, job),
        )

    def attempt_ended(
        self, job: int, attempt: int, ran: Ran, outcome: Outcome, verdict: Verdict, now: int
    ) -> None:
        """How it ended; what becomes of its job is said by `finished` or `again`."""
        cpu = None if outcome.cpu_s is None else round(outcome.cpu_s * 1e6)
        self._db.execute(
            "UPDATE attempts SET state = ?, reason = ?, finished_at = ?, exit_code = ?,"
            " signal = ?, pid = ?, host = IFNULL(?, host), cpu_us = ?, max_rss_kb = ?,"
            " engine_id = IFNULL(?, engine_id) WHERE job = ? AND attempt = ?",
            (
                verdict.ended.value, verdict.why, now, outcome.exit_code, outcome.signal, ran.pid,
                ran.host, cpu, outcome.max_rss_kb, ran.engine_id, job, attempt,
            ),
        )  # fmt: skip

    def finished(
        self, job: int, state: State, reason: str | None, now: int, output_bytes: int
    ) -> None:
        """The job that ran is over; its last attempt has left so many bytes of output."""
        self._db.execute(
            "UPDATE jobs SET state = ?, reason = ?, finished_at = ?, stop = NULL, paused = 0,"
            " output_bytes = output_bytes + ? WHERE id = ?",
            (state.value, reason, now, output_bytes, job),
        )

    def again(
        self,
        job: int,
        reason: str | None,
        now: int,
        due: int | None,
        failures: int,
        output_bytes: int,
    ) -> None:
        """The daemon's own way back into the queue: at once, or not before `due`.

        `output_bytes`: as for `finished`.
        """
        self._db.execute(
            f"UPDATE jobs SET state = '{State.PENDING}', reason = ?, stop = NULL, paused = 0,"
            " progress = NULL, progress_message = NULL, queued_at = ?, started_at = NULL,"
            " due = ?, due_fixed = 0, failures = ?, output_bytes = output_bytes + ? WHERE id = ?",
            (reason, now, due, failures, output_bytes, job),
        )

    # --- while they run ------------------------------------------------------------------------

    def stop_ordered(self, job: int, order: StopOrder) -> None:
        self._db.execute(
            "UPDATE jobs SET stop = ? WHERE id = ?", (msgspec.msgpack.encode(order), job)
        )

    def set_paused(self, job: int, *, paused: bool) -> None:
        self._db.execute("UPDATE jobs SET paused = ? WHERE id = ?", (paused, job))

    def progressed(self, job: int, percent: float | None, message: str | None) -> None:
        self._db.execute(
            "UPDATE jobs SET progress = ?, progress_message = ? WHERE id = ?",
            (percent, message, job),
        )

    # --- after their end -----------------------------------------------------------------------

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

    def renew_environment(self, job: int, old: int, environment: dict[bytes, bytes]) -> None:
        """It is to run in this environment, not in the stored one that it has had."""
        new = self._environments.use(self._environments.pack(environment), 1)
        self._db.execute("UPDATE jobs SET environment = ? WHERE id = ?", (new, job))
        self._environments.leave(old)

    def removed(self, job: int, attempts: int, environment: int) -> None:
        """Of its attempts what can be counted is left."""
        if attempts:
            keep_past(self._db, job)
            self._db.execute(
                "INSERT INTO deletions SELECT ?, ?, json_group_array(DISTINCT engine)"
                " FROM attempts WHERE job = ?",
                (job, attempts, job),
            )
        self._db.execute("DELETE FROM attempts WHERE job = ?", (job,))
        self._db.execute("DELETE FROM dependencies WHERE child = ?", (job,))
        (array,) = self._db.execute(
            "DELETE FROM jobs WHERE id = ? RETURNING array", (job,)
        ).fetchone()
        if array is not None:
            self._leave_array(array, 1)
        self._environments.leave(environment)

    def _leave_array(self, array: int, elements: int) -> None:
        self._db.execute("UPDATE arrays SET uses = uses - ? WHERE first = ?", (elements, array))
        self._db.execute("DELETE FROM arrays WHERE first = ? AND uses <= 0", (array,))

    def deleted(self, jobs: Iterable[int]) -> None:
        """The output files of these are gone."""
        self._db.executemany("DELETE FROM deletions WHERE job = ?", [(job,) for job in jobs])
