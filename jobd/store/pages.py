"""Pages of jobs: each costs what the page holds, wherever in a long list it is.

A section is walked along its index, from the key of the last job that was seen. What a filter
leaves out is passed over, a bounded number of jobs at a time: a page may then hold fewer jobs than
it has room for, even none, and still not be the last. Where few ids are meant, they are looked up
instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from jobd.contract.ranges import Ranges, Within, merge_ranges, width
from jobd.contract.states import FINISHED, State
from jobd.store.conditions import IN_RANGE, LISTED, VISIBLE, as_json, condition
from jobd.store.records import Filter

SECTIONS: Final = ("running", "pending", "finished")
"""The order in which jobs are listed."""
NARROW: Final = 10_000
"""So many ids are looked up rather than looked for."""
_STRIDE: Final = 500
"""Jobs that are held against a filter at a time."""
_STRIDES: Final = NARROW // _STRIDE
"""For one page, at most."""

PAGE_BYTES: Final = 4 * 1024 * 1024
"""Of what was submitted, in one page; the answer is several times as long, and has its limit."""
SIZE: Final = "IFNULL(length(j.spec), 0) + IFNULL(length(r.spec), 0) + 64 * j.parents"
"""Of a job (and its array `r`) in bytes, about; also what it waits for has to be shown."""

Key = tuple[int, int]
"""Where in its section a job stands: a number to sort by, and its id or the opposite of it."""
Row = tuple[object, ...]


class _Walk(NamedTuple):
    """Some jobs of a section, in the order in which an index has them."""

    where: str
    values: Sequence[object]


class _Section(NamedTuple):
    member: str
    """What its jobs have in common."""
    key: str
    """Ascending: the order of the section."""
    order: str
    """The same as the index has it."""
    walks: Callable[[Filter, Key | None], list[_Walk]]
    """Those behind a key; the section is all of them, merged."""


def _running(_: Filter, behind: Key | None) -> list[_Walk]:
    state = f"j.state = '{State.RUNNING}'"
    if behind is None:
        return [_Walk(state, ())]
    return [_Walk(f"{state} AND (j.started_at, j.id) > (?, ?)", behind)]


def _pending(_: Filter, behind: Key | None) -> list[_Walk]:
    state = f"j.state = '{State.PENDING}'"
    if behind is None:
        return [_Walk(state, ())]
    # Two, since SQLite does not find the place of a pair whose one half is generated.
    turn, job = behind
    return [
        _Walk(f"{state} AND j.turn = ? AND j.id > ?", (turn, job)),
        _Walk(f"{state} AND j.turn > ?", (turn,)),
    ]


def _finished(chosen: Filter, behind: Key | None) -> list[_Walk]:
    where = "j.state = ? AND j.finished_at IS NOT NULL"
    values: Sequence[object] = ()
    if behind is not None:
        where += " AND (j.finished_at, j.id) < (?, ?)"
        values = [-part for part in behind]
    states = [state for state in FINISHED if state in (chosen.states or FINISHED)]
    return [_Walk(where, (state.value, *values)) for state in states]


_SECTION: Final = {
    "running": _Section(
        f"j.state = '{State.RUNNING}'", "j.started_at, j.id", "j.started_at, j.id", _running
    ),
    "pending": _Section(f"j.state = '{State.PENDING}'", "j.turn, j.id", "j.turn, j.id", _pending),
    "finished": _Section(
        "j.finished_at IS NOT NULL",
        "-j.finished_at, -j.id",
        "j.finished_at DESC, j.id DESC",
        _finished,
    ),
}


# --- a page of a section --------------------------------------------------------------------


def read_page(
    database: sqlite3.Connection,
    select: str,
    section: str,
    chosen: Filter,
    behind: Key | None,
    limit: int,
) -> tuple[list[Row], Key | None]:
    """Its next jobs, `limit` at most (and at least 1), and the key behind which to go on.

    There are fewer of them where they are large: `PAGE_BYTES`. `select` begins with the id, has
    `SIZE` as its last column, and ends before WHERE. Key None: that was the last of them.
    """
    chosen_ids = Within(chosen.ranges)
    rows: list[Row] = []
    room = PAGE_BYTES
    for keys, following in _strides(database, section, chosen, behind, limit):
        meant = [abs(job) for _, job in keys if chosen_ids(abs(job))]
        count, size, found = len(meant), *_rows(database, select, chosen, meant, room)
        if size > room:
            count = fitting(database, meant, room, least=0 if rows else 1)
            size, found = _rows(database, select, chosen, meant[:count])
        room -= size
        for key in keys:
            if meant[count : count + 1] == [abs(key[1])]:
                return rows, behind
            row = found.get(abs(key[1]))
            if row is not None:
                rows.append(row)
                if len(rows) == limit:
                    return rows, key
            behind = key
        behind = following
    return rows, behind


def read_page_ids(
    database: sqlite3.Connection,
    section: str,
    chosen: Filter,
    behind: Key | None,
    limit: int,
) -> tuple[list[int], Key | None]:
    """The same, but only the ids; there are up to `limit` of them, whatever was submitted."""
    chosen_ids = Within(chosen.ranges)
    all_seen = database.execute("SELECT 1 FROM staged LIMIT 1").fetchone() is None
    ids: list[int] = []
    for keys, following in _strides(database, section, chosen, behind, limit):
        found: Collection[int] = {abs(job) for _, job in keys if chosen_ids(abs(job))}
        if not (all_seen and _is_walk(chosen)):
            _, found = _rows(database, "SELECT j.id, 0 FROM jobs AS j", chosen, [*found])
        for key in keys:
            if abs(key[1]) in found:
                ids.append(abs(key[1]))
                if len(ids) == limit:
                    return ids, key
        behind = following
    return ids, behind


def _is_walk(chosen: Filter) -> bool:
    """Whether all that stands in a walk is meant."""
    return chosen == Filter(states=chosen.states)


def fitting(database: sqlite3.Connection, ids: Sequence[int], room: int, *, least: int) -> int:
    """For how many of these jobs, from the first on, there is room (in bytes)."""
    sizes = dict(
        database.execute(
            f"SELECT j.id, {SIZE} FROM jobs AS j LEFT JOIN arrays AS r ON r.first = j.array"
            f" WHERE j.id IN {LISTED}",
            (as_json(ids),),
        )
    )
    for number, job in enumerate(ids):
        room -= sizes.get(job, 0)
        if room < 0 and number >= least:
            return number
    return len(ids)


def _strides(
    database: sqlite3.Connection, section: str, chosen: Filter, behind: Key | None, limit: int
) -> Iterator[tuple[list[Key], Key | None]]:
    """Keys in their order, a stride at a time, and behind which to go on (None: nowhere)."""
    if chosen.ranges and width(chosen.ranges) <= NARROW:
        yield from _looked_up(database, section, chosen.ranges, behind)
        return
    size = limit if _is_walk(chosen) else _STRIDE
    staged = database.execute("SELECT first, last FROM staged").fetchall()
    for _ in range(_STRIDES):
        keys = _walked(database, section, chosen, behind, size)
        behind = _beyond(keys[-1], staged) if len(keys) == size else None
        yield keys, behind
        if behind is None:
            return


def _beyond(key: Key, staged: Ranges) -> Key:
    """Nobody sees a batch that is being written: behind a job of it comes what follows it all."""
    rank, job = key
    return rank, max([job, *(last for first, last in staged if first <= job <= last)])


def _walked(
    database: sqlite3.Connection, section: str, chosen: Filter, behind: Key | None, count: int
) -> list[Key]:
    _, key, order, walks = _SECTION[section]
    found: list[Key] = []
    for where, values in walks(chosen, behind):
        found += database.execute(
            f"SELECT {key} FROM jobs AS j WHERE {where} ORDER BY {order} LIMIT ?",
            (*values, count),
        )
    return sorted(found)[:count]


def _looked_up(
    database: sqlite3.Connection, section: str, ranges: Ranges, behind: Key | None
) -> Iterator[tuple[list[Key], Key | None]]:
    member, key, _, _ = _SECTION[section]
    found: list[Key] = database.execute(
        f"SELECT {key} FROM json_each(?) AS r CROSS JOIN jobs AS j NOT INDEXED"
        f" ON {IN_RANGE} WHERE {member}",
        (as_json(merge_ranges(ranges)),),
    ).fetchall()
    keys = sorted(found if behind is None else (key for key in found if key > behind))
    for at in range(0, len(keys) or 1, _STRIDE):
        stride = keys[at : at + _STRIDE]
        yield stride, stride[-1] if at + _STRIDE < len(keys) else None


def _rows(
    database: sqlite3.Connection,
    select: str,
    chosen: Filter,
    ids: list[int],
    room: int | None = None,
) -> tuple[int, dict[int, Row]]:
    """Their size, and those that the filter leaves; too large for the room, they end early."""
    where, values = condition(chosen)
    found: dict[int, Row] = {}
    size = 0
    for row in database.execute(
        f"{select} WHERE j.id IN {LISTED} AND {where} AND {VISIBLE}",
        (as_json(ids), *values),
    ):
        found[row[0]] = row
        size += row[-1]
        if room is not None and size > room:
            break
    return size, found
