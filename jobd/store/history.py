"""Pages of the history: all of it, that of a few jobs, or that of many."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from jobd.contract.ranges import Ranges, Within, width
from jobd.store.records import EventRow

_FEW: Final = 64
"""Jobs whose events are looked up one job after the other."""
_STRETCH: Final = 20_000
"""Of the history, read by one statement: no read stays open for long."""
_COLUMNS: Final = "SELECT seq, at, job, event, user, data FROM events AS e"


def read_events(
    database: sqlite3.Connection, after: int, ranges: Ranges, limit: int
) -> list[EventRow]:
    """The first behind `after` that are about these jobs; no ranges: about anything."""
    if ranges and width(ranges) <= _FEW:
        rows = _of_few(database, after, ranges, limit)
    elif ranges:
        rows = _of_many(database, after, ranges, limit)
    else:
        rows = database.execute(
            f"{_COLUMNS} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        ).fetchall()
    return [EventRow(*row) for row in rows]


def _of_few(
    database: sqlite3.Connection, after: int, ranges: Ranges, limit: int
) -> list[tuple[Any, ...]]:
    # Whatever comes while one job after the other is asked is for the next page, of all of them.
    (newest,) = database.execute("SELECT MAX(seq) FROM events").fetchone()
    found = [
        row
        for first, last in ranges
        for job in range(first, last + 1)
        for row in database.execute(
            f"{_COLUMNS} WHERE job = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (job, after, newest or 0, limit),
        )
    ]
    return sorted(found)[:limit]


def _of_many(
    database: sqlite3.Connection, after: int, ranges: Ranges, limit: int
) -> list[tuple[Any, ...]]:
    """Along the history, since what many jobs have done is found all over it."""
    within, found = Within(ranges), list[tuple[Any, ...]]()
    for rows in _stretches(database, after, ranges):
        found += [row for row in rows if within(row[2])]
        if len(found) >= limit:
            break
    return found[:limit]


def _stretches(
    database: sqlite3.Connection, after: int, ranges: Ranges
) -> Iterator[list[tuple[Any, ...]]]:
    (newest,) = database.execute("SELECT MAX(seq) FROM events").fetchone()
    for low in range(after, newest or 0, _STRETCH):
        # The plus keeps it from the index by job, out of which all would have to be sorted.
        yield database.execute(
            f"{_COLUMNS} WHERE seq > ? AND seq <= ? AND +job BETWEEN ? AND ? ORDER BY seq",
            (low, low + _STRETCH, ranges[0][0], ranges[-1][1]),
        ).fetchall()
