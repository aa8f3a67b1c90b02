"""Finished attempts, counted: in all, or by day, name, group, user or exit code.

Quantiles are exact: a value stands for each attempt, of which 99 % (say) are no larger.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from jobd.contract.models import Ended, History
from jobd.contract.overviews import Statistics
from jobd.contract.states import State

_QUARTER_US: Final = 900_000_000
"""Clocks are put forward and back, and zones differ, by multiples of this."""
_LONGEST_US: Final = 366 * 86_400_000_000
_UNKNOWN: Final = math.nan
_VALUES: Final = 4
"""Of an attempt: seconds that it waited and ran, of CPU, kilobytes of memory."""


class Window(Struct, frozen=True):
    """The time that is asked about, in seconds since the epoch."""

    since: float | None
    """None: from the first start on."""
    until: float

    @classmethod
    def of(cls, request: History, now: float) -> Window:
        """What will be is no time that workers had."""
        return cls(request.since, now if request.until is None else min(now, request.until))


class _Group:
    """What is known of the attempts that have one thing in common."""

    __slots__ = ("_values", "first", "job", "jobs", "last", "states", "worker_us")

    def __init__(self) -> None:
        self.states = dict.fromkeys(State, 0)
        self.jobs = 0
        self.job = 0
        """The last one counted: attempts come by job."""
        self.first: int | None = None
        self.last = 0
        self.worker_us = 0
        self._values = array("d")

    def add(self, ended: Ended) -> None:
        self.states[ended.state] += 1
        if ended.job != self.job:
            self.job, self.jobs = ended.job, self.jobs + 1
        began, end, queued = ended.started_at, ended.finished_at, ended.queued_at
        if self.first is None or began < self.first:
            self.first = began
        self.last = max(self.last, end)
        self._values.extend(
            (
                _UNKNOWN if queued is None else max(0, began - queued) / 1e6,
                max(0, end - began) / 1e6,
                _UNKNOWN if ended.cpu_us is None else ended.cpu_us / 1e6,
                _UNKNOWN if ended.max_rss_kb is None else ended.max_rss_kb,
            )
        )

    def sorted_values(self, kind: int) -> list[float]:
        """Those that are known."""
        return sorted(value for value in self._values[kind::_VALUES] if not math.isnan(value))


def _key_of_exit(ended: Ended) -> str:
    """`0`, `3`, `signal KILL`, `time limit`, `lost`."""
    cause = ended.cause
    if ended.state is State.COMPLETED:
        return "0"
    return cause.removeprefix("exit code ") if cause else "unknown"


class Days:
    """Days of the reader's time zone."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def name(self, at: int) -> str:
        """`2026-11-26`; `at`: microseconds since the epoch."""
        quarter = at // _QUARTER_US
        name = self._names.get(quarter)
        if name is None:
            name = self._names[quarter] = _local(quarter * _QUARTER_US).strftime("%Y-%m-%d")
        return name

    def pieces(self, began: int, end: int) -> Iterator[tuple[str, int]]:
        """Each day of a span, and how much of the span lies in it, in microseconds.

        What seems to have run for longer than anything runs, since a clock was set meanwhile, lies
        in its last day.
        """
        while end - began < _LONGEST_US and self.name(began) != self.name(end):
            midnight = min(end, next_day(began))
            yield self.name(began), midnight - began
            began = midnight
        yield self.name(end), end - began


def next_day(at: int) -> int:
    """When the day of the reader's zone ends; microseconds since the epoch."""
    day = _local(at).date() + timedelta(days=1)
    return round(datetime(day.year, day.month, day.day).astimezone().timestamp() * 1e6)


def _local(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1e6, UTC).astimezone()


_KEYS: Final[dict[str, Callable[[Ended], str]]] = {
    "name": lambda ended: ended.name,
    "group": lambda ended: ended.group,
    "user": lambda ended: ended.user,
    "exit-code": _key_of_exit,
}
"""By what attempts can be put together, beside their day."""


class Account:
    """Counts attempts as they come, by job; keeps four numbers of each, and not the attempt."""

    def __init__(self, by: str | None) -> None:
        """`by`: `day` or a key of `_KEYS`; None: all together."""
        self._by = by
        self._days = Days()
        self._groups: dict[str | None, _Group] = {}

    def add(self, attempts: Iterable[Ended]) -> None:
        key = self._key()
        for ended in attempts:
            self._group(key(ended)).add(ended)
            took = max(0, ended.finished_at - ended.started_at)
            if self._by == "day":
                began = ended.finished_at - took
                for day, part in self._days.pieces(began, ended.finished_at):
                    self._group(day).worker_us += part * ended.slots
            else:
                self._group(key(ended)).worker_us += took * ended.slots

    def _key(self) -> Callable[[Ended], str | None]:
        if self._by is None:
            return lambda _: None
        if self._by == "day":
            return lambda ended: self._days.name(ended.finished_at)
        return _KEYS[self._by]

    def _group(self, key: str | None) -> _Group:
        found = self._groups.get(key)
        if found is None:
            found = self._groups[key] = _Group()
        return found

    def statistics(self, workers: int, window: Window) -> list[Statistics]:
        """Days in their order, anything else with the most attempts first.

        `workers`: how many there are, for the share of their time.
        """
        span = self._span(window)
        made = [
            _statistics(key, group, workers * self._within(key, *span) if span else 0)
            for key, group in self._groups.items()
        ]
        if self._by is None and not made:
            return [_statistics(None, _Group(), 0)]
        if self._by == "day":
            return sorted(made, key=lambda stats: stats.key or "")
        return sorted(made, key=lambda stats: (-stats.attempts, stats.key or ""))

    def _span(self, window: Window) -> tuple[int, int] | None:
        """From when to when, in microseconds since the epoch."""
        firsts = [group.first for group in self._groups.values() if group.first is not None]
        if not firsts:
            return None
        since = min(firsts) if window.since is None else round(window.since * 1e6)
        return since, round(window.until * 1e6)

    def _within(self, key: str | None, since: int, until: int) -> int:
        """Of that time, what counts for one line: all of it, or a day's part."""
        if self._by != "day" or key is None:
            return until - since
        begin = round(datetime.fromisoformat(key).astimezone().timestamp() * 1e6)
        return min(until, next_day(begin)) - max(since, begin)


def _statistics(key: str | None, group: _Group, available: int) -> Statistics:
    """`available`: microseconds of all workers in that time."""
    waits, runs, cpu, memory = map(group.sorted_values, range(_VALUES))
    states = group.states
    use = round(100 * group.worker_us / available, 2) if available > 0 else None
    return Statistics(
        key=key,
        attempts=sum(states.values()),
        jobs=group.jobs,
        completed=states[State.COMPLETED],
        failed=states[State.FAILED],
        stopped=states[State.STOPPED],
        first_started_at=_moment(group.first),
        last_finished_at=_moment(group.last or None),
        wait_p50_s=_quantile(waits, 0.5),
        wait_p90_s=_quantile(waits, 0.9),
        wait_p99_s=_quantile(waits, 0.99),
        wait_max_s=_quantile(waits, 1.0),
        run_p50_s=_quantile(runs, 0.5),
        run_p90_s=_quantile(runs, 0.9),
        run_p99_s=_quantile(runs, 0.99),
        run_max_s=_quantile(runs, 1.0),
        run_s=round(math.fsum(runs), 6),
        cpu_s=round(math.fsum(cpu), 6) if cpu else None,
        rss_p50_kb=_whole(_quantile(memory, 0.5)),
        rss_p90_kb=_whole(_quantile(memory, 0.9)),
        rss_p99_kb=_whole(_quantile(memory, 0.99)),
        rss_max_kb=_whole(_quantile(memory, 1.0)),
        worker_s=group.worker_us / 1e6,
        use_percent=use,
    )


def _quantile(ordered: list[float], part: float) -> float | None:
    """The smallest of them that is no smaller than so large a part of all."""
    return ordered[math.ceil(part * len(ordered)) - 1] if ordered else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _moment(us: int | None) -> datetime | None:
    return None if us is None else datetime.fromtimestamp(us / 1e6, UTC)
