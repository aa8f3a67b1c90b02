"""What a report shows, made of all finished attempts of a span and of what runs and waits now.

However many there are, what is drawn has a bounded number of pieces: a worker with many attempts
is drawn by stretches, and curves are averages of equal parts of the span.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from heapq import heappush, heapreplace
from itertools import groupby
from typing import Final, NamedTuple

from msgspec import Struct

from jobctl.actions.history import Account, Window
from jobd.contract.models import MAX_TIME, Ended, Job
from jobd.contract.overviews import Curves, Lane, Outcomes, Review, Segment, Stretch
from jobd.contract.states import State

PARTS: Final = 120
"""Of the span, for a curve."""
BARS: Final = 30
"""Of the span, for how attempts ended."""
STRETCHES: Final = 160
"""Of the span, for a worker with more attempts than `_SINGLE`."""
_SINGLE: Final = 150
"""Attempts of a worker that are drawn one by one."""
_LANES: Final = 40
LONGEST_LIST: Final = 10
_BY_GRAVITY: Final = (State.COMPLETED, State.STOPPED, State.FAILED)


class _Kept(NamedTuple):
    """What is kept of an attempt, as numbers; times are microseconds since the epoch."""

    queued: int
    began: int
    end: int
    slot: int
    slots: int
    gravity: int
    """In `_BY_GRAVITY`."""
    job: int
    attempt: int
    cpu: int
    """Microseconds."""
    memory: int
    """Kilobytes."""

    @classmethod
    def of(cls, ended: Ended) -> _Kept:
        began, queued = ended.started_at, ended.queued_at
        return cls(
            began if queued is None else min(queued, began),
            began,
            ended.finished_at,
            ended.slot,
            ended.slots,
            _BY_GRAVITY.index(ended.state) if ended.state in _BY_GRAVITY else 0,
            ended.job,
            ended.attempt,
            ended.cpu_us or 0,
            ended.max_rss_kb or 0,
        )


class Curve:
    """What there was on average in each of so many equal parts of a span."""

    def __init__(self, begin: int, end: int, parts: int) -> None:
        """The span is from `begin` to `end`, in microseconds since the epoch."""
        self._begin = begin
        self._width = max(1, end - begin) / parts
        self._parts = [0.0] * parts
        self._steps = [0.0] * (parts + 1)

    def add(self, begin: int, end: int, height: float) -> None:
        """There was so much more from `begin` to `end`; what lies outside of the span is cut."""
        most = len(self._parts)
        low = max(0.0, (begin - self._begin) / self._width)
        high = min(float(most), (end - self._begin) / self._width)
        if high <= low:
            return
        first, last = int(low), int(high)
        if first == last:
            self._parts[first] += height * (high - low)
            return
        self._parts[first] += height * (first + 1 - low)
        self._steps[first + 1] += height
        self._steps[last] -= height
        if last < most:
            self._parts[last] += height * (high - last)

    def values(self) -> list[float]:
        level, found = 0.0, []
        for part, step in zip(self._parts, self._steps, strict=False):
            level += step
            found.append(max(0.0, level + part))
        return found


class Record:
    """The attempts as they come; of each a few numbers are kept."""

    def __init__(self) -> None:
        self.total = Account(None)
        self.days = Account("day")
        self.names = Account("name")
        self.exits = Account("exit-code")
        self._numbers = array("q")
        self._slowest: list[tuple[int, int, Ended]] = []
        """A heap; a number is between, so that no two attempts have to be compared."""

    def add(self, attempts: Sequence[Ended]) -> None:
        for account in (self.total, self.days, self.names, self.exits):
            account.add(attempts)
        for ended in attempts:
            self._numbers.extend(_Kept.of(ended))
            took = ended.finished_at - ended.started_at
            entry = (took, len(self._numbers), ended)
            if len(self._slowest) < LONGEST_LIST:
                heappush(self._slowest, entry)
            elif took > self._slowest[0][0]:
                heapreplace(self._slowest, entry)

    def slowest(self) -> list[Ended]:
        return [ended for _, _, ended in sorted(self._slowest, reverse=True)]

    def first(self) -> int | None:
        """When the first of them began to wait, microseconds since the epoch."""
        return min(self._numbers[0 :: len(_Kept._fields)], default=None)

    def kept(self) -> Iterator[_Kept]:
        numbers = iter(self._numbers)
        return map(_Kept._make, zip(*[numbers] * len(_Kept._fields), strict=True))


class Unfinished(Struct, frozen=True, kw_only=True):
    """Jobs that run and that wait now, or the first of these."""

    running: Sequence[Job]
    waiting: Sequence[Job]


def review(record: Record, unfinished: Unfinished | None, workers: int, window: Window) -> Review:
    """`unfinished`: what of it runs and waits at the end; None where it is not meant."""
    end = round(window.until * 1e6)
    first = record.first()
    begin = end if first is None else min(first, end)
    begin = begin if window.since is None else round(window.since * 1e6)
    begin = min(begin, end - 1_000_000)
    curves, bars, slots = _Curves(begin, end), _Bars(begin, end), dict[int, list[_Kept]]()
    for kept in record.kept():
        curves.add(kept)
        bars.add(kept)
        slots.setdefault(kept.slot, []).append(kept)
    if unfinished is not None:
        curves.add_unfinished(unfinished, end)
    names = record.names.statistics(workers, window)
    failing = sorted((stats for stats in names if stats.failed), key=lambda t: -t.failed)
    return Review(
        begin=_moment(begin),
        end=_moment(end),
        workers=workers,
        unfinished=None
        if unfinished is None
        else (len(unfinished.running), len(unfinished.waiting)),
        total=record.total.statistics(workers, window)[0],
        days=record.days.statistics(workers, window),
        failing=failing[:LONGEST_LIST],
        exits=record.exits.statistics(workers, window)[:LONGEST_LIST],
        slowest=record.slowest(),
        lanes=[_lane(slot, slots[slot], begin, end) for slot in sorted(slots)[:_LANES]],
        more_lanes=max(0, len(slots) - _LANES),
        outcomes=bars.outcomes(),
        curves=curves.curves(),
    )


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


class _Curves:
    def __init__(self, begin: int, end: int) -> None:
        made = [Curve(begin, end, PARTS) for _ in range(4)]
        self._waiting, self._busy, self._cores, self._memory = made

    def add(self, kept: _Kept) -> None:
        self._waiting.add(kept.queued, kept.began, 1)
        self._busy.add(kept.began, kept.end, kept.slots)
        self._cores.add(kept.began, kept.end, kept.cpu / max(1, kept.end - kept.began))
        self._memory.add(kept.began, kept.end, kept.memory)

    def add_unfinished(self, unfinished: Unfinished, end: int) -> None:
        for job in unfinished.running:
            began = end - _micros(job.run_s)
            self._busy.add(began, end, job.slots)
            self._waiting.add(began - _micros(job.wait_s), began, 1)
        for job in unfinished.waiting:
            self._waiting.add(end - _micros(job.wait_s), end, 1)

    def curves(self) -> Curves:
        return Curves(
            waiting=self._waiting.values(),
            busy=self._busy.values(),
            cores=self._cores.values(),
            memory_kb=self._memory.values(),
        )


def _micros(seconds: float | None) -> int:
    return round(1e6 * seconds) if seconds is not None and 0 <= seconds <= MAX_TIME else 0


class _Bars:
    def __init__(self, begin: int, end: int) -> None:
        self._begin = begin
        self._width = (end - begin) / BARS
        self._counts = {state: [0] * BARS for state in _BY_GRAVITY}

    def add(self, kept: _Kept) -> None:
        part = int((kept.end - self._begin) / self._width)
        if 0 <= part <= BARS:
            self._counts[_BY_GRAVITY[kept.gravity]][min(part, BARS - 1)] += 1

    def outcomes(self) -> Outcomes:
        return Outcomes(
            completed=self._counts[State.COMPLETED],
            failed=self._counts[State.FAILED],
            stopped=self._counts[State.STOPPED],
        )


def _lane(slot: int, attempts: Sequence[_Kept], begin: int, end: int) -> Lane:
    is_few = len(attempts) <= _SINGLE
    return Lane(
        slot=slot,
        attempts=len(attempts),
        segments=[_single(kept, begin, end - begin) for kept in attempts] if is_few else [],
        stretches=[] if is_few else _stretches(attempts, begin, end),
    )


def _single(kept: _Kept, begin: int, whole: int) -> Segment:
    left = max(0.0, 100 * (kept.began - begin) / whole)
    right = min(100.0, 100 * (kept.end - begin) / whole)
    return Segment(
        left=left,
        width=max(0.0, right - left),
        state=_BY_GRAVITY[kept.gravity],
        job=kept.job,
        attempt=kept.attempt,
        seconds=max(0, kept.end - kept.began) / 1e6,
    )


def _stretches(attempts: Iterable[_Kept], begin: int, end: int) -> list[Stretch]:
    """How its time was used, part by part; parts that are alike and side by side are one."""
    curves = [Curve(begin, end, STRETCHES) for _ in _BY_GRAVITY]
    starts = [0] * STRETCHES
    for kept in attempts:
        curves[kept.gravity].add(kept.began, kept.end, 1)
        part = (kept.began - begin) * STRETCHES // (end - begin)
        starts[min(STRETCHES - 1, max(0, part))] += 1
    shares = [[min(100, math.ceil(100 * value)) for value in curve.values()] for curve in curves]
    found, at = list[Stretch](), 0
    for (completed, stopped, failed), parts in groupby(zip(*shares, strict=True)):
        count = len(list(parts))
        if completed or stopped or failed:
            found.append(
                Stretch(
                    left=100 * at / STRETCHES,
                    width=100 * count / STRETCHES,
                    failed=failed,
                    stopped=stopped,
                    completed=completed,
                    attempts=sum(starts[at : at + count]),
                )
            )
        at += count
    return found
