"""Finished attempts, counted: a table, or a few facts about all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from jobctl.render import data, streams, text
from jobd.contract.reports import Tally
from jobd.contract.wording import printable

_KEY_COLUMNS: Final = 36
"""Columns of what attempts have in common, on a terminal."""
_HEADERS: Final = (
    "ATTEMPTS", "FAILED", "STOPPED", "WAIT 50%", "90%", "RUN 50%", "90%", "MAX", "CPU", "MEMORY",
    "USE",
)  # fmt: skip


def json(tallies: Sequence[Tally], by: str | None) -> None:
    """An array, an object a line of the table; what they have in common is named as it is asked."""
    data.document([_plain(tally, by) for tally in tallies])


def csv(tallies: Sequence[Tally], by: str | None) -> None:
    """The same keys."""
    rows = [_plain(tally, by) for tally in tallies]
    header = [name for name in Tally.__struct_fields__ if name != "key"]
    data.csv_rows([_column(by), *header] if by else header, [[*row.values()] for row in rows])


def _column(by: str) -> str:
    return by.replace("-", "_")


def _plain(tally: Tally, by: str | None) -> dict[str, Any]:
    fields = msgspec.structs.asdict(tally)
    key = fields.pop("key")
    return {_column(by): key, **fields} if by else fields


def table(tallies: Sequence[Tally], by: str) -> None:
    """A line for each day, name, group, user or exit code."""
    from tabulate import tabulate

    rows = [cells(tally) for tally in tallies]
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


def cells(tally: Tally) -> list[str]:
    """A line of the table."""
    return [
        printable(tally.key or "-"),
        f"{tally.attempts:,}",
        part(tally.failed, tally),
        f"{tally.stopped:,}",
        text.duration(tally.wait_p50_s),
        text.duration(tally.wait_p90_s),
        text.duration(tally.run_p50_s),
        text.duration(tally.run_p90_s),
        text.duration(tally.run_max_s),
        text.duration(tally.cpu_s),
        _memory(tally.rss_max_kb),
        use(tally),
    ]


def part(count: int, tally: Tally) -> str:
    """`12 (3.1%)`."""
    if not count:
        return "0"
    return f"{count:,} ({text.percent(100 * count / tally.attempts)})"


def _memory(kilobytes: int | None) -> str:
    return "-" if kilobytes is None else text.size(kilobytes)


def use(tally: Tally) -> str:
    """Of the time of all workers."""
    return "-" if tally.use_percent is None else text.percent(tally.use_percent)


def summary(tally: Tally, workers: int) -> None:
    """All attempts, a fact a line. `workers`: how many there are."""
    first, last = text.moment(tally.first_started_at), text.moment(tally.last_finished_at)
    plural = "" if tally.jobs == 1 else "s"
    _fact("attempts", f"{tally.attempts:,} of {tally.jobs:,} job{plural}, {first} to {last}")
    _fact("completed", part(tally.completed, tally))
    _fact("failed", part(tally.failed, tally))
    _fact("stopped", part(tally.stopped, tally))
    waits = tally.wait_p50_s, tally.wait_p90_s, tally.wait_p99_s, tally.wait_max_s
    runs = tally.run_p50_s, tally.run_p90_s, tally.run_p99_s, tally.run_max_s
    _fact("waited", _spread([text.duration(value) for value in waits]))
    ran = _spread([text.duration(value) for value in runs])
    _fact("ran", f"{ran}; {text.duration(tally.run_s)} in all")
    _fact("CPU", f"{text.duration(tally.cpu_s)} in all")
    memory = tally.rss_p50_kb, tally.rss_p90_kb, tally.rss_p99_kb, tally.rss_max_kb
    is_known = tally.rss_max_kb is not None
    _fact("memory", _spread([_memory(value) for value in memory]) if is_known else "unknown")
    taken = text.duration(tally.worker_s)
    _fact("workers", f"{taken} taken, {use(tally)} of the time of {workers:,}")


def _spread(quantiles: Sequence[str]) -> str:
    """`0.1s in 50%, 2.0s in 90%, 10s in 99%, 61s at most`; each of them or less."""
    half, most, nearly_all, largest = quantiles
    return f"{half} in 50%, {most} in 90%, {nearly_all} in 99%, {largest} at most"


def _fact(label: str, fact: str) -> None:
    streams.line(f"{label:<11}{fact}")
