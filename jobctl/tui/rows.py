"""The list of jobs as lines of text: what stands in each row, and how it is coloured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jobctl.render import text, words
from jobctl.render.fitting import Column, Fitted, fitted, telling
from jobctl.tui.sight import Part, Row, Section, Sight
from jobd.contract.models import Job
from jobd.contract.states import FINISHED, Reason, State
from jobd.contract.wording import printable

_MARKS: Final = {
    State.RUNNING: ("▶", "blue"),
    State.PENDING: ("·", ""),
    State.COMPLETED: ("✓", "green"),
    State.FAILED: ("✗", "red"),
    State.STOPPED: ("■", "yellow"),
}
"""How the state of a job is told in one character, and in which colour."""
_PAUSED: Final = ("‖", "yellow")
_HELD: Final = ("○", "yellow")
_MARGIN: Final = 4
"""Columns before the id: whether it is marked, and how it is."""
_BAR: Final = 10
_NAMES: Final = 3
"""The part of the screen that names may take, where they are so long: a third."""
_BROAD: Final = 100
"""Columns from which on there is room for more than must be known."""
_ROOMY: Final = 140
"""Columns from which on there is room for commands."""
_OUTCOME: Final = 50
"""Columns up to which an outcome is never cut."""
_SAID: Final = 13
"""Columns of what is said most: `42%, 3m left`; commands stand below each other behind that."""


class Line(Struct, frozen=True):
    """A line of the list."""

    text: str
    style: str = ""
    mark: tuple[str, str] = ("", "")
    """A character before it, and its colour."""
    row: Row | None = None
    """What a key acts on; None: this is no job."""
    section: Section | None = None
    """Whose heading, or rest, it is."""


def lines(sight: Sight, width: int, percent: Callable[[int], float | None]) -> list[Line]:
    """`percent`: how busy a running job keeps the processors."""
    rows = [row for part in sight.parts for row in part.rows]
    single = [row.job for row in rows if row.array is None]
    columns = _columns(percent, width)
    cells = [[printable(column.cell(job)) for column in columns] for job in single]
    ids = max([3, *(len(_ids(row)) for row in rows)])
    room = width - _MARGIN - ids - 2
    table = fitted(telling(columns, cells), single, max(1, room))
    header, *told = _joined(table)
    by_job = dict(zip([job.id for job in single], told, strict=True))
    found = [Line(text.cut(f"{'':{_MARGIN}}{'ID':>{ids}}  {header}", width), "dim")]
    for part in sight.parts:
        found += _of_part(part, ids, width, by_job)
    return found


def later(sight: Sight, seconds: float) -> Sight:
    """The same where nothing has happened since, so many seconds later."""
    parts = [replace(p, rows=[_later(row, seconds) for row in p.rows]) for p in sight.parts]
    return replace(sight, parts=parts)


def _later(row: Row, seconds: float) -> Row:
    job = row.job
    if job.state is not State.RUNNING or job.run_s is None:
        return row
    left = job.eta_s and max(1.0, job.eta_s - (0.0 if job.paused else seconds))
    return replace(row, job=replace(job, run_s=job.run_s + seconds, eta_s=left))


def _of_part(part: Part, ids: int, width: int, by_job: dict[int, str]) -> Iterator[Line]:
    if not part.rows and not part.more and part.section is not Section.RUNNING:
        return
    yield Line(_heading(part, width), "bold", section=part.section)
    room = width - _MARGIN - ids - 2
    for row in part.rows:
        told = by_job.get(row.job.id, "")
        if row.array is not None:
            told = (
                words.array(row.array, max(20, room - 8)) + f"  {row.job.name or row.job.command}"
            )
        line = f"{_ids(row):>{ids}}  {printable(told)}"
        style = "red" if row.job.state is State.FAILED and row.array is None else ""
        yield Line(text.cut(line.rstrip(), width - _MARGIN), style, _mark(row), row)
    if part.more or part.more is None:
        more = "more" if part.more is None else f"{part.more:,} more"
        yield Line(text.cut(f"{'':{ids + 2}}… {more}", width), "dim", section=part.section)


def _heading(part: Part, width: int) -> str:
    count = f"{len(part.rows)} and more" if part.total is None else f"{part.total:,}"
    begin = f" {part.section.value} {count} "
    return text.cut(f"──{begin}{'─' * max(0, width - len(begin) - 2)}", width)


def _ids(row: Row) -> str:
    [(first, last)] = row.ids
    return str(first) if first == last else f"{first}-{last}"


def _mark(row: Row) -> tuple[str, str]:
    job = row.job
    if job.paused:
        return _PAUSED
    return _HELD if job.reason == Reason.HELD else _MARKS[job.state]


def _joined(table: Fitted) -> Iterator[str]:
    """The header, and a text a row; as wide as their widest cell."""
    rows = [[column.header for column in table.columns], *table.cells]
    widths = [max(text.columns(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, table.columns, strict=True)
        yield "  ".join(_aligned(*each) for each in cells).rstrip()


def _aligned(cell: str, width: int, column: Column) -> str:
    space = " " * (width - text.columns(cell))
    return space + cell if column.numeric else cell + space


_DETAIL: Final = Column(
    "DETAIL",
    words.detail,
    whole=lambda job: job.state in FINISHED and len(job.reason or "") <= _OUTCOME,
    says_nothing=lambda _: False,
)


def _columns(percent: Callable[[int], float | None], width: int) -> list[Column]:
    def cpu(job: Job) -> str:
        load = percent(job.id) if job.state is State.RUNNING else None
        return "-" if load is None else f"{load:.0f}%"

    third = width // _NAMES
    name = Column(
        "NAME", _name, width=third, least=third, in_middle=True, says_nothing=lambda _: False
    )
    also = [
        Column("PRIO", _priority, numeric=True, expendable=2),
        Column("GROUP", lambda job: job.group, expendable=3, says_nothing=_are_alike),
        Column("WHEN", lambda j: text.when(j.finished_at or j.started_at), expendable=1),
    ]
    return [
        name,
        *(also if width >= _BROAD else []),
        Column("TIME", lambda job: text.duration(job.run_s), numeric=True, least=6),
        Column("CPU", cpu, numeric=True, expendable=6, least=4),
        Column("MEM", _memory, numeric=True, expendable=5, least=6),
        *([Column("DONE", _bar, expendable=4)] if width >= _BROAD else []),
        _DETAIL_AND_COMMAND if width >= _ROOMY else _DETAIL,
    ]


def _are_alike(cells: Sequence[str]) -> bool:
    return len(set(cells)) <= 1


def _name(job: Job) -> str:
    """Elements of an array are told apart by their index."""
    index = "" if job.array_index is None else f"[{job.array_index}]"
    return f"{job.name or job.command}{index}"


def _detail(job: Job) -> str:
    """What there is to be said, and what is left of the line for the command; where that stands in
    the place of the name, it need not stand there twice.
    """
    said = words.detail(job)
    return f"{said:<{_SAID}}  {job.command if job.name else ''}".rstrip()


_DETAIL_AND_COMMAND: Final = Column("DETAIL", _detail, says_nothing=lambda _: False)


def _priority(job: Job) -> str:
    return str(job.priority) if job.priority else "-"


def _memory(job: Job) -> str:
    return "-" if job.rss_kb is None else text.size(job.rss_kb)


def _bar(job: Job) -> str:
    if job.state is not State.RUNNING or job.progress is None:
        return "-"
    done = round(_BAR * min(100.0, max(0.0, job.progress)) / 100)
    return "━" * done + "─" * (_BAR - done)
