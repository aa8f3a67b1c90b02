"""Arrays as one thing: whose elements jobs are, and what is told of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobd.store.conditions import LISTED, VISIBLE, as_json
from jobd.store.reader import Reader


class ArrayRow(NamedTuple):
    """The ids of the first and the last element that it was submitted with."""

    first: int
    last: int


class Ends(NamedTuple):
    """Of the elements that there still are."""

    first_index: int
    last_index: int
    started_at: int | None
    """When the first of them started, microseconds since the epoch."""


def arrays_of(reader: Reader, ids: Sequence[int]) -> dict[int, ArrayRow]:
    """The array of each of these jobs that is an element; one of a single element is a job."""
    rows = reader.rows(
        "SELECT j.id, r.first, r.last FROM jobs AS j JOIN arrays AS r ON r.first = j.array"
        f" WHERE j.id IN {LISTED} AND r.last > r.first",
        (as_json(ids),),
    )
    return {int(str(job)): ArrayRow(int(str(low)), int(str(high))) for job, low, high in rows}


def ends_of(reader: Reader, array: ArrayRow) -> Ends | None:
    """None: there are none left."""
    edge = "SELECT array_index, started_at FROM jobs WHERE id BETWEEN ? AND ? ORDER BY id"
    begin = reader.rows(f"{edge} LIMIT 1", array)
    end = reader.rows(f"{edge} DESC LIMIT 1", array)
    if not begin or not end:
        return None
    started = begin[0][1]
    return Ends(int(str(begin[0][0])), int(str(end[0][0])), started)  # type: ignore[arg-type]


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
