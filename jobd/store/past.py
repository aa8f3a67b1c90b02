"""Finished attempts for those who count them: of jobs that are there, and of removed ones.

A removed job leaves a row an attempt in `past`, in the very transaction that deletes it. Both
tables are walked in one order, by job and attempt, so that one that goes from the one to the other
between two pages is neither missed nor given twice.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from msgspec import Struct

from jobd.contract.models import Ended
from jobd.contract.states import State
from jobd.store.conditions import LISTED, as_glob, as_json

AttemptKey = tuple[int, int]
"""A job and an attempt of it."""

_STRIDE: Final = 4000
"""Attempts of each table that one page looks at, whatever is meant."""
_CAUSE: Final = "IIF(instr(reason, ':'), substr(reason, 1, instr(reason, ':') - 1), reason)"
"""Of a reason that names a file or a job, what all of its kind have in common."""
_COLUMNS: Final = (
    "job, attempt, state, reason, exit_code, signal, name, user, group_name, slots, slot,"
    " queued_at, started_at, finished_at, cpu_us, max_rss_kb"
)
_READ: Final = _COLUMNS.replace(" reason,", f" {_CAUSE},")
_LIVING: Final = (
    "SELECT a.job, a.attempt, a.state, a.reason, a.exit_code, a.signal, j.name, j.user,"
    " j.group_name, j.slots, a.slot, a.queued_at, a.started_at, a.finished_at, a.cpu_us,"
    " a.max_rss_kb FROM attempts AS a CROSS JOIN jobs AS j ON j.id = a.job"
)
BOUNDS: Final = (
    "SELECT IFNULL((SELECT MIN(seq) FROM past), 0), IFNULL((SELECT MAX(seq) FROM past), -1)"
)
"""The numbers of the first and the last row of `past`."""
_TABLES: Final = {"attempts": f"({_LIVING})", "past": "past"}


class Chosen(Struct, frozen=True, kw_only=True):
    """Which attempts are meant; nothing set means all. Times are microseconds since the epoch."""

    states: tuple[State, ...] = ()
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    name: str = ""
    """A pattern of the shell (glob(7))."""
    since: int | None = None
    """Ended then or later."""
    until: int | None = None
    """Ended before."""


def keep_past(writer: sqlite3.Connection, job: int) -> None:
    """The job is about to be deleted. Called by the writer's thread, inside its transaction."""
    writer.execute(
        f"INSERT INTO past ({_COLUMNS}) SELECT * FROM ({_LIVING})"
        " WHERE job = ? AND finished_at IS NOT NULL",
        (job,),
    )


def read_past(
    database: sqlite3.Connection, chosen: Chosen, behind: AttemptKey
) -> tuple[list[Ended], AttemptKey | None]:
    """The next of those that are meant, and behind which to go on; None: these were the last.

    A page looks at so many attempts, and gives those of them that are meant: perhaps none.
    """
    ends = [end for table in _TABLES if (end := _end(database, table, behind)) is not None]
    last = min(ends, default=None)
    where, values = _condition(chosen)
    within, bounds = "job >= ? AND (job, attempt) > (?, ?)", [behind[0], *behind]
    if last is not None:
        # Of a pair SQLite takes one bound for the index; of its first half both.
        within, bounds = f"{within} AND job <= ? AND (job, attempt) <= (?, ?)", [
            *bounds, last[0], *last,
        ]  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for source in _TABLES.values():
        rows += database.execute(
            f"SELECT {_READ} FROM {source}"
            f" WHERE {within} AND finished_at IS NOT NULL AND {where} ORDER BY job, attempt",
            (*bounds, *values),
        )
    rows.sort(key=lambda row: row[:2])
    return [Ended(row[0], row[1], State(row[2]), *row[3:]) for row in rows], last


def _end(database: sqlite3.Connection, table: str, behind: AttemptKey) -> AttemptKey | None:
    """The last of a stride of this table; None: what is left is less."""
    row = database.execute(
        f"SELECT job, attempt FROM {table} WHERE job >= ? AND (job, attempt) > (?, ?)"
        " ORDER BY job, attempt LIMIT 1 OFFSET ?",
        (behind[0], *behind, _STRIDE - 1),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _condition(chosen: Chosen) -> tuple[str, list[object]]:
    where, values = "1", list[object]()
    lists = (("state", chosen.states), ("group_name", chosen.groups), ("user", chosen.users))
    for column, wanted in lists:
        if wanted:
            where, values = f"{where} AND {column} IN {LISTED}", [*values, as_json(wanted)]
    if chosen.name:
        where, values = f"{where} AND name GLOB ?", [*values, as_glob(chosen.name)]
    if chosen.since is not None:
        where, values = f"{where} AND finished_at >= ?", [*values, chosen.since]
    if chosen.until is not None:
        where, values = f"{where} AND finished_at < ?", [*values, chosen.until]
    return where, values
