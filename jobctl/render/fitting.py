"""How a table fits a terminal: which columns it keeps, how wide they are, and what is cut where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from jobctl.render import text
from jobd.contract.models import Job

GAP: Final = 2
"""Spaces between two columns."""
_LAST: Final = 24
"""Columns that the last cell has at least, if it is so long, unless others would be lost for it."""
_LAST_LEAST: Final = 12
_TINY: Final = 4
"""The part of a small screen that a column keeps, where it would else keep more: a fourth."""
_SHARE: Final = 4
"""The part of the screen that any column may take, however long others are: a fourth."""


class Column(Struct, frozen=True):
    """A column of a table of jobs."""

    header: str
    cell: Callable[[Job], str]
    numeric: bool = False
    width: int = 36
    """Columns at most while others need room, unless it is the last one."""
    least: int = 12
    """Columns that it keeps when others need room."""
    whole: Callable[[Job], bool] = lambda _: False
    """Of which jobs its cell is never cut for the sake of others."""
    in_middle: bool = False
    """What tells its values apart is at their ends, or where they differ."""
    expendable: int = 0
    """On a screen that is too narrow for all, those with 1 go first; 0: it stays."""
    says_nothing: Callable[[Sequence[str]], bool] = lambda cells: all(c == "-" for c in cells)
    """Whether it need not be there with these cells."""


class Fitted(Struct, frozen=True):
    """The columns that are left, and the cells of each row in them."""

    columns: list[Column]
    cells: list[list[str]]


def telling(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Fitted:
    """Without the columns that say nothing."""
    by_column = list(zip(*cells, strict=True))
    kept = [
        number
        for number, column in enumerate(columns)
        if not by_column or not column.says_nothing(by_column[number])
    ]
    return Fitted([columns[n] for n in kept], [[row[n] for n in kept] for row in cells])


def fitted(table: Fitted, jobs: Sequence[Job], screen: int) -> Fitted:
    """As wide as the screen at most; `jobs`: those of the rows."""
    # What no terminal shows need not be measured.
    most = 8 * screen
    longest = [
        max(text.columns(cell[:most]) for cell in [column.header, *cells])
        for column, cells in zip(table.columns, _by_column(table), strict=True)
    ]
    floors = [
        min(long, max(_floor(column, cells, jobs, screen), len(column.header)))
        for column, cells, long in zip(table.columns, _by_column(table), longest, strict=True)
    ]
    kept = _kept(table.columns, floors, longest, screen)
    widths = _widths([table.columns[n] for n in kept], [floors[n] for n in kept],
                     [longest[n] for n in kept], screen)  # fmt: skip
    columns = [table.columns[n] for n in kept]
    by_column = [_by_column(table)[n] for n in kept]
    cut = [_cut(*each) for each in zip(columns, by_column, widths, strict=True)]
    return Fitted(columns, [list(row) for row in zip(*cut, strict=True)])


def _by_column(table: Fitted) -> list[list[str]]:
    if not table.cells:
        return [[] for _ in table.columns]
    return [list(column) for column in zip(*table.cells, strict=True)]


def _floor(column: Column, cells: Sequence[str], jobs: Sequence[Job], screen: int) -> int:
    whole = [text.columns(c) for c, job in zip(cells, jobs, strict=True) if column.whole(job)]
    return min(max([min(column.least, -(-screen // _TINY)), *whole]), screen)


def _kept(
    columns: Sequence[Column], floors: Sequence[int], longest: Sequence[int], screen: int
) -> list[int]:
    """The columns, by number, without those for which there is no room."""
    kept = list(range(len(columns)))
    going = sorted((n for n in kept if columns[n].expendable), key=lambda n: columns[n].expendable)
    for number in going:
        last = kept[-1]
        needed = sum(floors[n] + GAP for n in kept if n != last)
        if needed + min(longest[last], max(_LAST_LEAST, floors[last])) <= screen:
            break
        kept.remove(number)
    return kept


def _widths(
    columns: Sequence[Column], floors: Sequence[int], longest: Sequence[int], screen: int
) -> list[int]:
    """Columns for each; the last one, as a rule the command, has what is left."""
    caps = [max(column.width, screen // _SHARE) for column in columns[:-1]]
    widths = [min(cap, long) for cap, long in zip(caps, longest, strict=False)]
    widths = [max(width, floor) for width, floor in zip(widths, floors, strict=False)]
    room = screen - GAP * len(widths)
    for least in (_LAST, _LAST_LEAST):
        over = sum(widths) + min(longest[-1], max(least, floors[-1])) - room
        if over <= 0:
            break
        _shrink(widths, floors, over)
    _grow(widths, longest, room - sum(widths) - longest[-1])
    return [*widths, max(1, room - sum(widths))]


def _shrink(widths: list[int], floors: Sequence[int], over: int) -> None:
    """The widest ones first, a column at a time."""
    for _ in range(over):
        able = [n for n, width in enumerate(widths) if width > floors[n]]
        if not able:
            return
        widths[max(able, key=widths.__getitem__)] -= 1


def _grow(widths: list[int], longest: Sequence[int], spare: int) -> None:
    """What nobody needs goes to those that were cut, from the left."""
    for number, width in enumerate(widths):
        more = max(0, min(spare, longest[number] - width))
        widths[number] += more
        spare -= more


def _cut(column: Column, cells: Sequence[str], width: int) -> list[str]:
    if column.in_middle:
        from jobctl.render.names import cut_apart

        return cut_apart(cells, width)
    return [text.cut(cell, width) for cell in cells]
