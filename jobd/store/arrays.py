"""Arrays and batches as one thing: whose elements jobs are, and what is told of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from jobd.contract.states import State
from jobd.store.conditions import BY_STATE, LISTED, VISIBLE, as_json
from jobd.store.reader import Reader

_FEW: Final = 10_000
"""Elements in a state that are counted without a thought."""


class ArrayRow(NamedTuple):
    """The ids of the first and the last element that it was submitted with."""

    first: int
    last: int


class Ends(NamedTuple):
    """Of the elements that there still are."""

    first_index: int | None
    last_index: int | None
    """None: it is a batch."""
    started_at: int | None
    """When the first of them started, microseconds since the epoch."""


def arrays_of(reader: Reader, ids: Sequence[int]) -> dict[int, ArrayRow]:
    """The array or the batch of each of these jobs that came with others."""
    given = as_json(ids)
    rows = reader.rows(
        "SELECT j.id, r.first, r.last FROM jobs AS j JOIN arrays AS r ON r.first = j.array"
        f" WHERE j.id IN {LISTED} AND r.last > r.first"
        " UNION ALL SELECT i.value, b.first, b.last FROM json_each(?) AS i JOIN batches AS b"
        " ON b.first = (SELECT MAX(first) FROM batches WHERE first <= i.value)"
        " AND b.last >= i.value",
        (given, given),
    )
    return {int(str(job)): ArrayRow(int(str(low)), int(str(high))) for job, low, high in rows}


def ends_of(reader: Reader, array: ArrayRow) -> Ends | None:
    """None: there are none left."""
    edge = "SELECT array_index, started_at FROM jobs WHERE id BETWEEN ? AND ? ORDER BY id"
    begin = reader.rows(f"{edge} LIMIT 1", array)
    end = reader.rows(f"{edge} DESC LIMIT 1", array)
    if not begin or not end:
        return None
    return Ends(begin[0][0], end[0][0], begin[0][1])  # type: ignore[arg-type]


def counts_of(reader: Reader, array: ArrayRow) -> dict[State, int]:
    """How many elements there are in each state; states of which there is none are left out.

    All but the largest of the large numbers are counted, in an index; an array knows their sum.
    """
    counts = {state: _count(reader, array, state, _FEW) for state in State}
    large = [state for state, count in counts.items() if count == _FEW]
    rows = reader.rows("SELECT uses FROM arrays WHERE first = ?", (array.first,)) if large else []
    rest = large.pop() if rows else None
    for state in large:
        counts[state] = _count(reader, array, state, -1)
    if rest is not None:
        others = sum(count for state, count in counts.items() if state is not rest)
        counts[rest] = max(0, int(str(rows[0][0])) - others)
    return {state: count for state, count in counts.items() if count}


def _count(reader: Reader, array: ArrayRow, state: State, most: int) -> int:
    ((count,),) = reader.rows(
        "SELECT COUNT(*) FROM (SELECT 1 FROM jobs AS j INDEXED BY jobs_state"
        f" WHERE j.state = ? AND {BY_STATE} AND j.id BETWEEN ? AND ? LIMIT ?)",
        (state.value, *array, most),
    )
    return int(str(count))


def newest_ids(reader: Reader, count: int) -> list[int]:
    """The jobs that were submitted last, the newest first."""
    rows = reader.rows(
        f"SELECT j.id FROM jobs AS j WHERE {VISIBLE} ORDER BY j.id DESC LIMIT ?", (count,)
    )
    return [int(str(job)) for (job,) in rows]


def newest_array(reader: Reader) -> ArrayRow | None:
    """One that is still being written is seen by nobody."""
    rows = reader.rows(
        "SELECT first, last FROM arrays AS r WHERE NOT EXISTS"
        " (SELECT 1 FROM staged AS s WHERE s.first <= r.last AND s.last >= r.first)"
        " ORDER BY first DESC LIMIT 1"
    )
    return ArrayRow(*(int(str(job)) for job in rows[0])) if rows else None
