"""How long a job still needs, from the progress it has made: a figure that does not jump about.

What is known is a sum of seconds and the points (of a hundred) made in them, in which the past
fades as points are made: a job that goes faster now is believed so within the next points, and one
slow point moves little. A job that goes back, as for its next epoch, begins a new sum. While a job
is in time for its next report the figure counts down; once that is overdue it grows.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, structs

HALF: Final = 15.0
"""Points after which what was before counts half."""
TRUSTED: Final = 3.0
"""Points in the first report from which the time since the start says how fast it goes."""
BACK: Final = 5.0
"""Points that a report may go back, as those of several bars in turn do, and still be the same."""
FIRST_S: Final = 2.0
"""Seconds of progress before anything is said."""
_LONGEST: Final = 10.0 * 365 * 86400
"""Seconds; more than that is no estimate."""
_STEPS: Final = ((60, 1), (300, 5), (900, 15), (3600, 60), (36000, 300), (_LONGEST, 3600))
"""Up to so many seconds left, they are told in steps of so many."""


class Pace(Struct, frozen=True):
    """All times are seconds on one clock."""

    at: float
    """When it reported last."""
    percent: float
    """What it reported then."""
    since: float
    """When what the sum is of began."""
    seconds: float = 0.0
    points: float = 0.0
    step: float = 0.0
    """Points between the last two reports."""


def begun(percent: float, at: float, started_at: float) -> Pace:
    """The first report. A small one says little: most of the time went into the preparations."""
    if percent < TRUSTED or at <= started_at:
        return Pace(at, percent, at)
    return Pace(at, percent, started_at, at - started_at, percent, percent)


def reported(pace: Pace, percent: float, at: float) -> Pace:
    """The next report: one that goes back a good deal begins anew."""
    if percent < pace.percent - BACK:
        return Pace(at, percent, at)
    if percent <= pace.percent or at < pace.at:
        return pace
    step = percent - pace.percent
    return Pace(at, percent, pace.since, *_sums(pace, at - pace.at, step), step)


def halted(pace: Pace, seconds: float) -> Pace:
    """So long it was kept from going on, which says nothing of how fast it goes."""
    return structs.replace(pace, at=pace.at + seconds, since=pace.since + seconds)


def seconds_left(pace: Pace | None, now: float) -> float | None:
    """None where nothing can be said yet; rounded, so that it does not flicker."""
    if pace is None:
        return None
    if pace.percent >= 100:
        return 0.0
    if not pace.points or max(now, pace.at) - pace.since < FIRST_S:
        return None
    waited = max(0.0, now - pace.at)
    due = pace.seconds / pace.points * pace.step
    if waited <= due:
        return _rounded(pace.seconds / pace.points * (100 - pace.percent) - waited)
    step = min(pace.step, 100 - pace.percent)
    seconds, points = _sums(pace, waited, step)
    return _rounded(seconds / points * (100 - pace.percent - step))


def _sums(pace: Pace, seconds: float, points: float) -> tuple[float, float]:
    kept = 0.5 ** (points / HALF)
    return pace.seconds * kept + seconds, pace.points * kept + points


def _rounded(seconds: float) -> float | None:
    if not seconds < _LONGEST:
        return None
    step = next(step for limit, step in _STEPS if seconds <= limit)
    return float(max(1, round(seconds / step)) * step)
