"""Jobs for people: the table of `ls`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, Final

from msgspec.structs import replace

from jobctl.render import streams, text, words
from jobctl.render.aligned import alignment
from jobctl.render.fitting import Column, Fitted, fitted, telling
from jobctl.render.streams import Painted
from jobd.contract.models import Array, Job, Page
from jobd.contract.states import FINISHED, State
from jobd.contract.wording import printable

_COLOURS: Final = {
    State.RUNNING: "blue",
    State.COMPLETED: "green",
    State.FAILED: "red",
    State.STOPPED: "yellow",
}
_ALIGNED: Final = 72
"""Columns from which on ids of single jobs stand below those of arrays, which are much longer."""
NO_ARRAYS: Final[Mapping[int, Array]] = {}
_OUTCOME: Final = 32
"""Columns up to which the outcome of a job is never cut; why one could not start may be longer, and
is not cut either where it takes no more than two fifths of the screen.
"""
_UNSTARTED: Final = len("could not start…")
_PATHS: Final = ("cwd", "output_path")


def _longest_outcome() -> int:
    return max(_OUTCOME, 2 * streams.width() // 5)


def _column(key: str) -> Column:
    return Column(
        key.upper(), partial(_cell, key), key in _NUMERIC,
        in_middle=key == "name" or key in _PATHS, says_nothing=_never,
    )  # fmt: skip


def _never(_: Sequence[str]) -> bool:
    return False


def _are_alike(cells: Sequence[str]) -> bool:
    return len(set(cells)) == 1


def _cell(key: str, job: Job) -> str:
    """A value of the JSON for people; what is none is a dash."""
    value = getattr(job, key)
    if value is None or (not value and value in ("", [])):
        return "-"
    return _WRITTEN.get(key, _written)(value)


def _written(value: Any) -> str:  # noqa: ANN401 # whatever stands in a job
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return text.moment(value) if isinstance(value, datetime) else str(value)


def _shell_line(argv: Sequence[str]) -> str:
    import shlex

    return shlex.join(argv)


_WRITTEN: Final[dict[str, Callable[[Any], str]]] = {
    "state": str.capitalize,
    "progress": text.percent,
    "max_rss_kb": text.size,
    "rss_kb": text.size,
    "gpu_memory_kb": text.size,
    "argv": _shell_line,
    "after": text.selector,
    "after_any": text.selector,
    "waits_for": text.selector,
    **dict.fromkeys((key for key in Job.__struct_fields__ if key.endswith("_s")), text.duration),
}
_NUMERIC: Final = frozenset(
    {
        "id",
        "priority",
        "attempt",
        "exit_code",
        "pid",
        "retries",
        "failures",
        "slots",
        "gpus",
        "array_index",
    }
)
_PRIORITY: Final = Column(
    "PRIO", lambda job: str(job.priority), numeric=True, expendable=2,
    says_nothing=lambda cells: set(cells) <= {"0"},
)  # fmt: skip
_NAME: Final = Column("NAME", partial(_cell, "name"), width=24, in_middle=True, expendable=7)
_TIME: Final = Column("TIME", lambda job: text.duration(job.run_s), expendable=4)
_DETAIL: Final = Column(
    "DETAIL", lambda job: words.detail(job) or "-", least=_UNSTARTED,
    whole=lambda job: job.state in FINISHED and len(job.reason or "") <= _longest_outcome(),
)  # fmt: skip
_PIPED: Final = (
    _column("id"), _column("state"), _PRIORITY, _NAME, _TIME, _DETAIL, _column("command")
)  # fmt: skip
"""What a script may have learned to read: the same columns, whatever is in them."""
_SHOWN: Final = (
    _column("id"),
    replace(_column("state"), whole=lambda _: True),
    _PRIORITY,
    Column(
        "INDEX",
        lambda job: "-" if job.array_index is None else str(job.array_index),
        numeric=True,
        expendable=5,
    ),
    Column("GROUP", partial(_cell, "group"), expendable=3, says_nothing=_are_alike),
    _NAME,
    Column("WHEN", lambda job: text.when(job.finished_at or job.started_at), expendable=1),
    _TIME,
    _DETAIL,
    _column("command"),
)
"""On a terminal."""


def fit(
    listed: Sequence[Job],
    keys: Sequence[str] | None = None,
    arrays: Mapping[int, Array] = NO_ARRAYS,
) -> None:
    """On a terminal: each job takes one line, and columns that say nothing are left out.

    `arrays`: those for which a job stands, by its id; each is a line, too.
    """
    columns = [*_SHOWN] if keys is None else [_column(key) for key in keys]
    single = [job for job in listed if job.id not in arrays]
    arrays = {job.id: arrays[job.id] for job in listed if job.id in arrays}
    cells = [_tidied([column.cell(job) for column in columns]) for job in single]
    ids = _id_width(listed, arrays)
    margin = ""
    if columns[0].header == "ID" and (single == listed or streams.width() >= _ALIGNED):
        margin = " " * (ids - _id_width(single, {}, least=2))
    kept = telling(columns, cells)
    if keys is None and _NAME in kept.columns:
        # On a small screen one of both has to do.
        kept = replace(kept, columns=[*kept.columns[:-1], replace(kept.columns[-1], expendable=6)])
    table = fitted(kept, single, streams.width() - len(margin))
    marked = _is_marked(table.columns)
    header, *rows = _lines(table)
    lines = dict(zip([job.id for job in single], rows, strict=True))
    if single or not listed:
        _print(_cut(margin + header))
    for job in listed:
        if job.id in arrays:
            _print(_cut(words.array_row(job, arrays[job.id], streams.width(), ids)))
        else:
            _print(_cut(margin + lines[job.id]), job.state if marked else None)


def whole(pages: Iterable[Page], keys: Sequence[str] | None = None) -> None:
    """To a file or a program: each cell is all there.

    Of many jobs no more is in memory than of few. How wide the columns are is known once the last
    job is, and until then the rows are in a file. Raises: JobdError (there is no room for it).
    """
    from jobctl.render.spool import Spool

    columns = [*_PIPED] if keys is None else [_column(key) for key in keys]
    # The state goes with the row, for its colour.
    spool, highest = Spool([*(column.header for column in columns), ""]), 0
    with closing(spool):
        for job in chain.from_iterable(page.jobs for page in pages):
            highest = max(highest, job.id)
            spool.add([*_tidied([column.cell(job) for column in columns]), job.state.value])
        margin = _margin(columns, highest)
        aligned = alignment(spool.widths()[:-1], [column.numeric for column in columns])
        marked = _is_marked(columns) and streams.paints()
        _print(margin + aligned([column.header for column in columns]).rstrip())
        for row in chain.from_iterable(spool.chunks()):
            line = margin + aligned(row[:-1]).rstrip()
            _print(line, State(row[-1]) if marked else None)


def _is_marked(columns: Sequence[Column]) -> bool:
    """Whether rows are coloured by their state."""
    return [column.header for column in columns[:2]] == ["ID", "STATE"]


def _cut(row: str) -> str:
    return text.cut(row.rstrip(), streams.width())


def _print(line: str, state: State | None = None) -> None:
    """`state`: in whose colour it is to be told."""
    streams.line(*([line] if state is None else _painted(line, state)))


def _tidied(cells: list[str]) -> list[str]:
    """Fit for a terminal, and without blanks at either end."""
    if not "".join(cells).isprintable():
        cells = [printable(cell) for cell in cells]
    return [cell.strip() for cell in cells]


def _lines(table: Fitted) -> list[str]:
    """The header, and a line a row; they are tidied."""
    rows = [[column.header for column in table.columns], *table.cells]
    widths = [max(map(text.columns, cells)) for cells in zip(*rows, strict=True)]
    return [*map(alignment(widths, [column.numeric for column in table.columns]), rows)]


def _margin(columns: Sequence[Column], highest: int) -> str:
    """Ids, of which this is the highest, take three columns at least."""
    return " " * max(0, 3 - max(2, len(str(highest)))) if columns[0].header == "ID" else ""


def _id_width(listed: Sequence[Job], arrays: Mapping[int, Array], least: int = 3) -> int:
    """Columns that their ids take; of an array those of its first and last."""
    return max(
        [
            least,
            *(len(str(job.id)) for job in listed),
            *(len(words.array_ids(array)) for array in arrays.values()),
        ]
    )


def _painted(row: str, state: State) -> list[str | Painted]:
    """The state, which stands behind the id, in its colour."""
    found = re.match(r"(\s*-?\d+\s+)(\w+)", row)
    if found is None or state not in _COLOURS:
        return [row]
    return [found[1], Painted(found[2], _COLOURS[state]), row[found.end() :]]


def footer(
    counts: dict[State, int],
    listed: Sequence[Job],
    more: int | None = 0,
    arrays: Mapping[int, Array] = NO_ARRAYS,
) -> None:
    """Counts of everything, what was left out, and where to ask further.

    `more`: how many are not listed; None: some, which nobody has counted.
    """
    if not sum(counts.values()):
        streams.hint("no jobs; submit one: jobctl submit COMMAND")
        return
    said = words.counts(counts) if more is not None else f"{len(listed):,} shown"
    rest = "; there are more" if more is None else f"; {more:,} not shown" if more > 0 else ""
    way = " (-n 0 shows all)" if rest else ""
    why = _why(listed, arrays)
    # A line that breaks would push the header off the screen: what helps goes before the counts do.
    ways = (said + rest + way + why, said + rest + why, said + rest + way)
    fits = (line for line in ways if len(line) <= streams.width())
    streams.line(next(fits, said + rest))


def _why(listed: Sequence[Job], arrays: Mapping[int, Array]) -> str:
    """Where the first failure is told, or else which of an array have failed."""
    for job in listed:
        if job.state is State.FAILED and job.id not in arrays:
            return f". Why: jobctl show {job.id}"
    failed = [f"{a.first}-{a.last}" for a in arrays.values() if a.counts.get(State.FAILED)]
    which = f"{failed[0]} " if len(failed) == 1 else ""
    return f". Which failed: jobctl ls {which}--state failed" if failed else ""
