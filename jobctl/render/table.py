"""Jobs for people: the table of `ls` and the sheet of `show`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from msgspec import Struct

from jobctl.render import streams, text, words
from jobctl.render.streams import Painted
from jobd.contract import sizes
from jobd.contract.models import DEFAULT_GROUP, Attempt, Job, Options, Shown
from jobd.contract.states import EventName, State
from jobd.contract.wording import printable

_COLOURS: Final = {
    State.RUNNING: "blue",
    State.COMPLETED: "green",
    State.FAILED: "red",
    State.STOPPED: "yellow",
}
_CELL_COLUMNS: Final = 36
_LEAST_COLUMNS: Final = 12
"""Columns that a cell keeps when others need room."""
_LAST_COLUMNS: Final = 24
"""Columns that the last cell has at least, if it is so long."""
_HISTORY: Final = 20


class _Column(Struct, frozen=True):
    header: str
    cell: Callable[[Job], str]
    numeric: bool = False
    width: int = _CELL_COLUMNS
    """Columns at most, on a terminal, unless it is the last one."""


def _column(key: str) -> _Column:
    return _Column(key.upper(), partial(_cell, key), key in _NUMERIC)


def _cell(key: str, job: Job) -> str:
    """A value of the JSON for people; what is none is a dash."""
    value = getattr(job, key)
    if value is None or value in ("", []):
        return "-"
    return _WRITTEN.get(key, _written)(value)


def _written(value: Any) -> str:  # noqa: ANN401 # whatever stands in a job
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
_USUAL: Final = (
    _column("id"),
    _column("state"),
    _Column("PRIO", lambda job: str(job.priority), numeric=True),
    _Column("NAME", partial(_cell, "name"), width=24),
    _Column("TIME", lambda job: text.duration(job.run_s)),
    _Column("DETAIL", lambda job: words.detail(job) or "-"),
    _column("command"),
)


def jobs(listed: Sequence[Job], keys: Sequence[str] | None = None) -> None:
    """On a terminal each job takes one line; piped, everything is whole."""
    from tabulate import tabulate

    columns = _USUAL if keys is None else [_column(key) for key in keys]
    narrow = streams.on_terminal()
    headers = [column.header for column in columns]
    cells = [[printable(column.cell(job)) for column in columns] for job in listed]
    if narrow:
        widths = _widths(columns, cells)
        cells = [list(map(text.cut, row, widths)) for row in cells]
    rows = (
        tabulate(
            [headers, *cells],
            tablefmt="plain",
            colalign=["right" if column.numeric else "left" for column in columns],
            disable_numparse=True,
        ).splitlines()
        if listed
        else ["  ".join(headers)]
    )
    marked = [column.header for column in columns[:2]] == ["ID", "STATE"]
    margin = " " * max(0, 3 - max([2, *(len(str(job.id)) for job in listed)]))
    if columns[0].header != "ID":
        margin = ""
    for row, job in zip(rows, [None, *listed], strict=True):
        whole = margin + row.rstrip()
        line = text.cut(whole, streams.width()) if narrow else whole
        streams.line(*(_painted(line, job.state) if job and marked else [line]))


def _widths(columns: Sequence[_Column], cells: Sequence[Sequence[str]]) -> list[int]:
    """Columns for each column, so that the last one, as a rule the command, has some, too."""
    # What no terminal shows need not be measured.
    most = 8 * streams.width()
    longest = [
        max(text.columns(cell[:most]) for cell in column) for column in zip(*cells, strict=True)
    ]
    widths = [
        max(len(column.header), min(column.width, long))
        for column, long in zip(columns[:-1], longest, strict=False)
    ]
    last = max(longest[-1:], default=0)
    over = sum(widths) + 2 * len(widths) + min(last, _LAST_COLUMNS) + 1 - streams.width()
    for _ in range(over):
        widest = max(range(len(widths)), key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= _LEAST_COLUMNS:
            break
        widths[widest] -= 1
    return [*widths, most]


def _painted(row: str, state: State) -> list[str | Painted]:
    """The state, which stands behind the id, in its colour."""
    found = re.match(r"(\s*-?\d+\s+)(\w+)", row)
    if found is None or state not in _COLOURS:
        return [row]
    return [found[1], Painted(found[2], _COLOURS[state]), row[found.end() :]]


def footer(counts: dict[State, int], listed: Sequence[Job]) -> None:
    """Counts of everything, what was left out, and where to ask further."""
    total = sum(counts.values())
    if not total:
        streams.hint("no jobs; submit one: jobctl submit COMMAND")
        return
    parts = [words.counts(counts)]
    if len(listed) < total:
        parts.append(f"{total - len(listed):,} not shown (-n 0 shows all)")
    odd = next((job.id for job in listed if job.state is State.FAILED), None)
    why = f". Why: jobctl show {odd}" if odd else ""
    streams.line("; ".join(parts) + why)


def shown(value: Shown) -> None:
    """Everything about one job, a fact a line."""
    job = value.job
    streams.line(f"job {job.id}{f'  {job.name}' if job.name else ''}")
    options = None if value.recipe is None else value.recipe.options
    for label, fact in _facts(job, value.why, options):
        if fact:
            streams.line(f"  {label:<12}{fact}")
    if value.attempts:
        streams.line("attempts")
    for attempt in value.attempts:
        streams.line(f"  {attempt.attempt:<4}{_attempt(attempt)}")
    _history(value)


def _facts(job: Job, why: str | None, options: Options | None) -> list[tuple[str, str]]:
    state = words.outcome(job)
    return [
        ("state", state[0].upper() + state[1:]),
        ("why", text.localized(why or "")),
        ("command", job.command + ("  (shell line)" if job.shell else "")),
        ("directory", job.cwd),
        ("priority", str(job.priority)),
        *_terms(job),
        *(_options(options) if options else []),
        ("user", job.user),
        ("progress", _progress(job)),
        ("submitted", text.moment(job.submitted_at)),
        ("started", text.moment(job.started_at) if job.started_at else ""),
        ("finished", text.moment(job.finished_at) if job.finished_at else ""),
        ("waited", text.duration(job.wait_s) if job.wait_s is not None else ""),
        ("ran", text.duration(job.run_s) if job.run_s is not None else ""),
        ("used", _usage(job.cpu_s, job.max_rss_kb)),
        ("pid", str(job.pid) if job.state is State.RUNNING and job.pid else ""),
        ("output", job.output_path or ""),
    ]


def _terms(job: Job) -> list[tuple[str, str]]:
    """When, where and how often, as far as it was said."""
    waiting = job.state is State.PENDING and job.not_before
    return [
        ("group", job.group if job.group != DEFAULT_GROUP else ""),
        ("tags", ", ".join(job.tags)),
        ("slots", str(job.slots) if job.slots != 1 else ""),
        ("GPUs", str(job.gpus) if job.gpus else ""),
        ("after", text.selector(job.after)),
        ("after any", text.selector(job.after_any)),
        ("not before", text.moment(job.not_before) if waiting else ""),
        ("time limit", text.duration(job.time_limit_s) if job.time_limit_s else ""),
        ("retries", _retries(job)),
        ("key", job.key or ""),
        ("array", f"element {job.array_index}" if job.array_index is not None else ""),
    ]


def _options(options: Options) -> list[tuple[str, str]]:
    """What else was asked for, by the names of `submit`."""
    usual = Options()
    delay = text.duration(options.retry_delay) if options.retries else ""
    kept = "" if options.max_output is None else sizes.text(options.max_output)
    return [
        ("retry delay", delay if options.retry_delay != usual.retry_delay else ""),
        ("retry on", ",".join(map(str, options.retry_on))),
        ("requeue", "yes" if options.requeue else ""),
        ("nice", str(options.nice) if options.nice else ""),
        ("shell", os.fsdecode(options.shell)),
        ("stdin", os.fsdecode(options.stdin)),
        ("progress by", options.progress if options.progress != "auto" else ""),
        ("max output", kept),
        ("notify", ", ".join(wish.label for wish in options.notify)),
    ]


def _retries(job: Job) -> str:
    failed = f", {job.failures} failed so far" if job.failures else ""
    return f"{job.retries}{failed}" if job.retries else ""


def _progress(job: Job) -> str:
    parts = [words.running(job)] if job.state is State.RUNNING else []
    if job.state is not State.RUNNING and job.progress is not None:
        parts.append(text.percent(job.progress))
    if job.progress_message:
        parts.append(job.progress_message)
    return "  ".join(part for part in parts if part)


def _usage(cpu: float | None, memory: int | None) -> str:
    parts = [f"{text.duration(cpu)} CPU"] if cpu is not None else []
    if memory is not None:
        parts.append(f"{text.size(memory)} memory at most")
    return ", ".join(parts)


def _attempt(attempt: Attempt) -> str:
    reason = f" ({attempt.reason})" if attempt.reason else ""
    ran = ""
    if attempt.finished_at:
        ran = f" after {text.duration((attempt.finished_at - attempt.started_at).total_seconds())}"
    usage = _usage(attempt.cpu_s, attempt.max_rss_kb)
    state = f"{attempt.state.value.capitalize()}{reason}{ran}"
    return f"{text.moment(attempt.started_at)}  {state}{f'; {usage}' if usage else ''}"


def _history(value: Shown) -> None:
    """Progress is left out: there may be thousands, and the last one stands above."""
    from jobctl.render.live import by, change

    events = [event for event in value.events if event.event != EventName.PROGRESS]
    if events:
        streams.line("history")
    if value.job.array_index is not None and events and events[0].event != EventName.SUBMITTED:
        # The event is that of the array's first one.
        streams.line(f"  {text.moment(value.job.submitted_at)}  submitted (with its array)")
    if len(events) > _HISTORY:
        streams.line(f"  {len(events) - _HISTORY} earlier ones: --json")
    for event in events[-_HISTORY:]:
        streams.line(f"  {text.moment(event.at)}  {change(event)}{by(event, value.job.user)}")
