"""Finished attempts, counted: a table, or a few facts about all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from jobctl.render import data, streams, text
from jobd.contract.overviews import Statistics
from jobd.contract.wording import printable

_KEY_COLUMNS: Final = 36
"""Columns of what attempts have in common, on a terminal."""
_HEADERS: Final = (
    "ATTEMPTS", "FAILED", "STOPPED", "WAIT 50%", "90%", "RUN 50%", "90%", "MAX", "CPU", "MEMORY",
    "USE",
)  # fmt: skip


def json(lines: Sequence[Statistics], by: str | None) -> None:
    """An array, an object a line of the table; what they have in common is named as it is asked."""
    data.document([_plain(stats, by) for stats in lines])


def csv(lines: Sequence[Statistics], by: str | None) -> None:
    """The same keys."""
    rows = [_plain(stats, by) for stats in lines]
    header = [name for name in Statistics.__struct_fields__ if name != "key"]
    data.csv_rows([_column(by), *header] if by else header, [[*row.values()] for row in rows])


def _column(by: str) -> str:
    return by.replace("-", "_")


def _plain(stats: Statistics, by: str | None) -> dict[str, Any]:
    fields = msgspec.structs.asdict(stats)
    key = fields.pop("key")
    return {_column(by): key, **fields} if by else fields


def table(lines: Sequence[Statistics], by: str) -> None:
    """A line for each day, name, group, user or exit code."""
    from tabulate import tabulate

    rows = [cells(stats) for stats in lines]
    if streams.on_terminal():
        rows = [[text.cut(row[0], _KEY_COLUMNS), *row[1:]] for row in rows]
    made = tabulate(
        [[by.upper().replace("-", " "), *_HEADERS], *rows],
        tablefmt="plain",
        colalign=["left", *["right"] * len(_HEADERS)],
        disable_numparse=True,
    )
    for line in made.splitlines():
        whole = line.rstrip()
        streams.line(text.cut(whole, streams.width()) if streams.on_terminal() else whole)


def cells(stats: Statistics) -> list[str]:
    """A line of the table."""
    return [
        printable(stats.key or "-"),
        f"{stats.attempts:,}",
        part(stats.failed, stats),
        f"{stats.stopped:,}",
        text.duration(stats.wait_p50_s),
        text.duration(stats.wait_p90_s),
        text.duration(stats.run_p50_s),
        text.duration(stats.run_p90_s),
        text.duration(stats.run_max_s),
        text.duration(stats.cpu_s),
        _memory(stats.rss_max_kb),
        use(stats),
    ]


def part(count: int, stats: Statistics) -> str:
    """`12 (3.1%)`."""
    if not count:
        return "0"
    return f"{count:,} ({text.percent(100 * count / stats.attempts)})"


def _memory(kilobytes: int | None) -> str:
    return "-" if kilobytes is None else text.size(kilobytes)


def use(stats: Statistics) -> str:
    """Of the time of all workers."""
    return "-" if stats.use_percent is None else text.percent(stats.use_percent)


def summary(stats: Statistics, workers: int) -> None:
    """All attempts, a fact a line. `workers`: how many there are."""
    first, last = text.moment(stats.first_started_at), text.moment(stats.last_finished_at)
    plural = "" if stats.jobs == 1 else "s"
    _fact("attempts", f"{stats.attempts:,} of {stats.jobs:,} job{plural}, {first} to {last}")
    _fact("completed", part(stats.completed, stats))
    _fact("failed", part(stats.failed, stats))
    _fact("stopped", part(stats.stopped, stats))
    waits = stats.wait_p50_s, stats.wait_p90_s, stats.wait_p99_s, stats.wait_max_s
    runs = stats.run_p50_s, stats.run_p90_s, stats.run_p99_s, stats.run_max_s
    _fact("waited", _spread([text.duration(value) for value in waits]))
    ran = _spread([text.duration(value) for value in runs])
    _fact("ran", f"{ran}; {text.duration(stats.run_s)} in all")
    _fact("CPU", f"{text.duration(stats.cpu_s)} in all")
    memory = stats.rss_p50_kb, stats.rss_p90_kb, stats.rss_p99_kb, stats.rss_max_kb
    is_known = stats.rss_max_kb is not None
    _fact("memory", _spread([_memory(value) for value in memory]) if is_known else "unknown")
    taken = text.duration(stats.worker_s)
    _fact("workers", f"{taken} taken, {use(stats)} of the time of {workers:,}")


def _spread(quantiles: Sequence[str]) -> str:
    """`0.1s in 50%, 2.0s in 90%, 10s in 99%, 61s at most`; each of them or less."""
    half, most, nearly_all, largest = quantiles
    return f"{half} in 50%, {most} in 90%, {nearly_all} in 99%, {largest} at most"


def _fact(label: str, fact: str) -> None:
    streams.line(f"{label:<11}{fact}")
