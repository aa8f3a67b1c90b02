"""Times as people write them: ISO 8601, or a time of day in the reader's zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

from jobd.contract import durations
from jobd.contract.models import MAX_TIME
from jobd.contract.wording import instant

_TIME_OF_DAY: Final = r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?"

_A_MOMENT: Final = 0.05
"""Seconds, more than pass between two words of one line: `--since 1h --until 1h` is no span."""
_SINCE: Final = "write 90, 15m, 2d, 18:00 or 2026-12-24T18:00"


def parse_at(text: str, now: datetime | None = None) -> float:
    """Seconds since the epoch of an ISO 8601 time, or of the next `HH:MM`. Raises: ValueError.

    What names no zone is in the reader's.
    """
    word, now = text.strip(), now or datetime.now().astimezone()
    if (clock := _time_of_day(word)) is not None:
        today = _on(now, clock)
        return (today if today > now else _on(now + timedelta(days=1), clock)).timestamp()
    return _iso(word, "write 2026-12-24T18:00, or 18:00 for the next one")


def parse_since(text: str, now: datetime | None = None) -> float:
    """Seconds since the epoch of an ISO 8601 time, the latest `HH:MM`, or so long ago.

    With colons it is a time of day, as for `parse_at`, and never the duration of that form.
    Raises: ValueError.
    """
    word, now = text.strip(), now or datetime.now().astimezone()
    if ":" in word and re.fullmatch(r"[\d:.]+", word, re.ASCII):
        if (clock := _time_of_day(word)) is None:
            hint = "write 18:00, or 1h30m for so long ago"
            raise ValueError(f"{word!r} is no time of day; {hint}")
        today = _on(now, clock)
        return (today if today <= now else _on(now - timedelta(days=1), clock)).timestamp()
    try:
        return max(0.0, now.timestamp() - durations.parse(word))
    except ValueError:
        return _iso(word, _SINCE)


def check_span(since: float | None, until: float | None) -> None:
    """Raises: ValueError (nothing lies between them; seconds since the epoch)."""
    if since is not None and until is not None and since > until - _A_MOMENT:
        raise ValueError(
            f"--since ({_shown(since)}) is not before --until ({_shown(until)}): "
            "nothing lies between them"
        )


def _shown(seconds: float) -> str:
    try:
        local = datetime.fromtimestamp(seconds, UTC).astimezone()
    except OverflowError:  # in zones that are in the year 10000 by then
        return instant(seconds)
    return local.strftime("%Y-%m-%dT%H:%M:%S")


def _time_of_day(word: str) -> time | None:
    found = re.fullmatch(_TIME_OF_DAY, word, re.ASCII)
    if found is None:
        return None
    hour, minute, second = map(int, found.groups(default="0"))
    return time(hour, minute, second)


def _on(day: datetime, clock: time) -> datetime:
    """Where a clock that is put forward leaves this time out, the one that it shows instead."""
    return datetime.combine(day.date(), clock).astimezone()


def _iso(word: str, hint: str) -> float:
    try:
        seconds = datetime.fromisoformat(word).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{word!r} is no time; {hint}") from None
    if not 0 <= seconds <= MAX_TIME:
        raise ValueError(f"{word!r} is not between the years 1970 and 9999")
    return seconds
