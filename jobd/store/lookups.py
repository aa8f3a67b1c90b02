"""Jobs by ids and states: which there are, and how many. Each costs what it finds, and no more."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from jobd.contract.models import MAX_ID
from jobd.contract.ranges import Ranges, ranges_of
from jobd.contract.states import Reason, State
from jobd.core.ready_queue import Entry
from jobd.store.conditions import BY_STATE, IN_RANGE, VISIBLE, as_json, condition
from jobd.store.records import Filter, Removed

_PIECE: Final = 10_000
"""Ids of which is asked at a time whether all of their jobs are meant, or are alike."""
_READY: Final = f"j.state = '{State.PENDING}' AND j.reason = '{Reason.QUEUED}' AND {BY_STATE}"


def read_ids(database: sqlite3.Connection, chosen: Filter, limit: int) -> list[tuple[int, State]]:
    """The first that are meant, in order of id, with their states. One range at most is wide."""
    where, values = condition(chosen, with_states=False)
    if len(chosen.ranges) == 1:
        within, given = "j.id BETWEEN ? AND ?", list[object](chosen.ranges[0])
    elif chosen.ranges:
        # From the ranges to the jobs, so that the cost is that of the ranges.
        within = f"j.id IN (SELECT j.id FROM json_each(?) AS r CROSS JOIN jobs AS j ON {IN_RANGE})"
        given = [as_json(chosen.ranges)]
    else:
        within, given = "1", []
    found: list[tuple[int, str]] = []
    for state in chosen.states or (None,):
        only = "1" if state is None else f"j.state = '{state.value}' AND {BY_STATE}"
        found += database.execute(
            f"SELECT j.id, j.state FROM jobs AS j WHERE {only} AND {within} AND {where}"
            f" AND {VISIBLE} ORDER BY j.id LIMIT ?",
            (*given, *values, limit),
        )
    return [(job, State(state)) for job, state in sorted(found)[:limit]]


def read_ranges(
    database: sqlite3.Connection, chosen: Filter, first: int, last: int
) -> tuple[list[tuple[int, int]], int]:
    """The same as ranges of ids, of a piece from `first` on, and where the next one begins (behind
    `last`: nowhere); the ranges of `chosen` do not count.

    A piece is of all states: what goes from the one into the other is in one of them.
    """
    where, values = condition(chosen, with_states=False)
    meant = [
        f"FROM jobs AS j WHERE {only} AND j.id BETWEEN ? AND ?"
        for only in (f"j.state = '{state.value}' AND {BY_STATE}" for state in chosen.states)
    ] or ["FROM jobs AS j WHERE j.id BETWEEN ? AND ?"]
    begins = [
        row[0] for one in meant
        for row in database.execute(f"SELECT j.id {one} ORDER BY j.id LIMIT 1", (first, last))
    ]  # fmt: skip
    if not begins:
        return [], last + 1
    low = min(begins)
    high = min(last, low + _PIECE - 1)
    found: list[tuple[int, int]] = []
    for one in meant:
        found += _in_piece(database, f"{one} AND {where} AND {VISIBLE}", values, low, high)
    return found, high + 1


def _in_piece(
    database: sqlite3.Connection, meant: str, values: Sequence[object], low: int, high: int
) -> Iterator[tuple[int, int]]:
    """A whole piece in a row is counted by the database; only others are read one by one."""
    given = (low, high, *values)
    (count,) = database.execute(f"SELECT COUNT(*) {meant}", given).fetchone()
    if count == high - low + 1:
        yield low, high
    elif count:
        rows = database.execute(f"SELECT j.id {meant} ORDER BY j.id", given)
        yield from ranges_of(job for (job,) in rows)


def one_of(database: sqlite3.Connection, states: Sequence[State], ranges: Ranges) -> int | None:
    """Some job with one of these states: the highest id of the first state in the last range."""
    for state in states:
        row = database.execute(
            "SELECT (SELECT MAX(j.id) FROM jobs AS j WHERE j.state = ?"
            f" AND {BY_STATE} AND {IN_RANGE}) AS found"
            " FROM json_each(?) AS r WHERE found IS NOT NULL LIMIT 1",
            (state.value, as_json(ranges[::-1])),
        ).fetchone()
        if row is not None:
            return int(row[0])
    return None


def count_within(database: sqlite3.Connection, ranges: Ranges) -> dict[State, int]:
    """How many jobs there are in each state; costs what there is in the ranges, in an index."""
    counts = dict.fromkeys(State, 0)
    for state in State:
        (counts[state],) = database.execute(
            "SELECT COUNT(*) FROM json_each(?) AS r CROSS JOIN jobs AS j INDEXED BY jobs_state"
            f" ON j.state = ? AND {IN_RANGE} WHERE {BY_STATE} AND {VISIBLE}",
            (as_json(ranges), state.value),
        ).fetchone()
    return counts


def ahead_of(
    database: sqlite3.Connection, entry: Entry, group: str | None, look: int
) -> tuple[int, bool]:
    """How many pending jobs (of a group) come before one, of at most `look`; whether there are
    more.
    """
    turn = -entry.priority
    (hides,) = database.execute("SELECT EXISTS (SELECT 1 FROM staged)").fetchone()
    if group is None and not hides:
        return _ahead_of_all(database, turn, entry.id, look)
    # Whatever the group, the index alone says it, and no row is read.
    column = "''" if group is None else "j.group_name"
    meant = "1" if group is None else "j.group_name = ?"
    pending = (
        f"SELECT j.id, {column} AS group_name FROM jobs AS j WHERE j.state = '{State.PENDING}'"
    )
    # In two walks along the index: one condition for both would look at all that come after.
    looked, found = database.execute(
        f"SELECT COUNT(*), SUM({meant} AND {VISIBLE})"
        f" FROM (SELECT * FROM ({pending} AND j.turn < ? LIMIT ?) UNION ALL"
        f" SELECT * FROM ({pending} AND j.turn = ? AND j.id < ? LIMIT ?) LIMIT ?) AS j",
        (*([] if group is None else [group]), turn, look, turn, entry.id, look, look),
    ).fetchone()
    return found or 0, looked >= look


def _ahead_of_all(database: sqlite3.Connection, turn: int, job: int, look: int) -> tuple[int, bool]:
    """The same where all that come before are meant, as mostly: none of them has to be looked at,
    and to pass over one is a quarter of that.
    """
    found = 0
    for before, values in (("j.turn < ?", (turn,)), ("j.turn = ? AND j.id < ?", (turn, job))):
        them = f"FROM jobs AS j WHERE j.state = '{State.PENDING}' AND {before}"
        enough = f"SELECT 1 {them} LIMIT 1 OFFSET ?"
        if database.execute(enough, (*values, look - found - 1)).fetchone():
            return look, True
        found += database.execute(f"SELECT COUNT(*) {them}", values).fetchone()[0]
    return found, False


def read_ready(database: sqlite3.Connection) -> Iterator[tuple[Entry, int]]:
    """All that only waits for its turn, by id: a job, and the last of those alike right behind it.

    For when no batch is staged: whether a job is of one is not asked of each of a million.

    A whole piece of one kind, as in a large array, is counted by the database; only others are
    read one by one.
    """
    behind = 0
    while (first := next(_ready(database, behind + 1, MAX_ID), None)) is not None:
        last = first.id + _PIECE - 1
        if _are_alike(database, first, last):
            yield first, last
        else:
            yield from _alike(_ready(database, first.id, last))
        behind = last


def _ready(database: sqlite3.Connection, first: int, last: int) -> Iterator[Entry]:
    # BETWEEN: of two lower bounds the planner might take "id > 0" to begin with.
    rows = database.execute(
        f"SELECT j.id, j.priority, j.group_name, j.slots, j.gpus FROM jobs AS j WHERE {_READY}"
        " AND j.id BETWEEN ? AND ? ORDER BY j.id",
        (first, last),
    )
    return (Entry(*row) for row in rows)


def _are_alike(database: sqlite3.Connection, first: Entry, last: int) -> bool:
    (count,) = database.execute(
        f"SELECT COUNT(*) FROM jobs AS j WHERE {_READY} AND j.id BETWEEN ? AND ?"
        " AND j.priority = ? AND j.group_name = ? AND j.slots = ? AND j.gpus = ?",
        (first.id, last, first.priority, first.group, first.slots, first.gpus),
    ).fetchone()
    return bool(count == last - first.id + 1)


def _alike(entries: Iterator[Entry]) -> Iterator[tuple[Entry, int]]:
    first = next(entries)
    last = first.id
    for entry in entries:
        if (entry.id, _kind(entry)) != (last + 1, _kind(first)):
            yield first, last
            first = entry
        last = entry.id
    yield first, last


def _kind(entry: Entry) -> tuple[int, str, int, int]:
    return entry.priority, entry.group, entry.slots, entry.gpus


def above(database: sqlite3.Connection, child: int, wanted: Callable[[int], bool]) -> list[int]:
    """What a job waits or has waited for, through any number of others, parents first; without what
    is not wanted, and all that only it waits for.
    """
    found: list[int] = []
    seen: set[int] = set()
    open_ends = [(child, False)]
    while open_ends:
        job, parents_found = open_ends.pop()
        if parents_found:
            found.append(job)
        elif job not in seen:
            seen.add(job)
            open_ends.append((job, True))
            rows = database.execute("SELECT parent FROM dependencies WHERE child = ?", (job,))
            open_ends += [(one, False) for (one,) in rows if wanted(one)]
    return found[:-1]


def read_deletions(database: sqlite3.Connection, behind: int, limit: int) -> list[Removed]:
    """Output that may still be there, of the first removed jobs after `behind`."""
    rows = database.execute(
        "SELECT job, attempts, engines FROM deletions WHERE job > ? ORDER BY job LIMIT ?",
        (behind, limit),
    )
    return [
        Removed(job, attempts, msgspec.json.decode(engines or "[]", type=list[str]))
        for job, attempts, engines in rows
    ]
