"""Jobs by how lately they were submitted: `last`, `last~1`, `last-array`."""

from __future__ import annotations

from collections.abc import Sequence

from jobd.client.client import Client
from jobd.contract.errors import NotFound
from jobd.contract.models import LAST_ARRAY, List
from jobd.contract.ranges import Ranges, ids_in


def is_relative(ranges: Ranges) -> bool:
    """Whether any of them is none of ids yet."""
    return any(first < 0 for first, _ in ranges)


def absolute(client: Client, ranges: Ranges) -> list[tuple[int, int]]:
    """The same as ids, as they are now. Raises: NotFound (there are not so many)."""
    if not is_relative(ranges):
        return [*ranges]
    back = max([1, *(-first for first, _ in ranges if LAST_ARRAY < first < 0)])
    page = client.list(List(newest=back))
    ids = [job for run in page.ids for job in ids_in(run)]
    arrays = [(array.first, array.last) for array in page.arrays.values()]
    return [_absolute(each, ids, arrays) for each in ranges]


def _absolute(
    each: tuple[int, int], ids: Sequence[int], arrays: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    first = each[0]
    if first > 0:
        return each
    if first == LAST_ARRAY:
        if not arrays:
            raise NotFound(
                "last-array: there is no array; what --file has submitted is named by its ids"
            )
        return arrays[0]
    if len(ids) < -first:
        name = "last" if first == -1 else f"last~{-first - 1}"
        raise NotFound(f"{name}: there are not so many jobs" if ids else f"{name}: there is no job")
    job = ids[-first - 1]
    return job, job
