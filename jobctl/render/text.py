"""Words and numbers for people: durations, sizes, times, and how much room a text takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from jobd.contract import durations
from jobd.contract.wording import INSTANT

_WEEK: Final = 7
"""Days from which on the day of the week would be that of another week, too."""
NAMED: Final = 10
"""Jobs, or ranges of them, that a sentence names; the rest it counts."""


def columns(text: str) -> int:
    """Columns that a text takes on a terminal; it is `printable`."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    return max(0, wcswidth(text))


def cut(text: str, width: int) -> str:
    """At most so many columns; an ellipsis says that there is more."""
    # Further away than this no screen shows anything, however many marks stand on a character.
    near = text[: 8 * width]
    if width < 1 or (len(near) == len(text) and columns(text) <= width):
        return text
    if near.isascii():
        return near[: width - 1].rstrip() + "…"
    used, kept = 1, []
    for cluster in _clusters(near):
        used += columns(cluster)
        if used > width:
            break
        kept.append(cluster)
    return "".join(kept).rstrip() + "…"


def cut_middle(text: str, width: int) -> str:
    """At most so many columns; an ellipsis stands for what is left out between begin and end."""
    near = text[: 8 * width]
    if width < 1 or (len(near) == len(text) and columns(text) <= width):
        return text
    before = begin(text, width // 2)
    return f"{before}…{end(text, width - 1 - columns(before))}"


def begin(text: str, width: int) -> str:
    """As much of it as fits into so many columns."""
    kept, used = "", 0
    for cluster in _clusters(text[: 8 * width]):
        used += columns(cluster)
        if used > width:
            break
        kept += cluster
    return kept


def end(text: str, width: int) -> str:
    """The same from behind."""
    kept, used = "", 0
    for cluster in reversed(_clusters(text[max(0, len(text) - 8 * width) :])):
        used += columns(cluster)
        if used > width:
            break
        kept = cluster + kept
    return kept


def _clusters(text: str) -> list[str]:
    """Characters, each with the marks that stand on it."""
    if text.isascii():
        return list(text)
    from wcwidth import wcwidth

    found: list[str] = []
    for char in text:
        if found and wcwidth(char) == 0:
            found[-1] += char
        else:
            found.append(char)
    return found


def padded(text: str, width: int) -> str:
    """Filled with spaces to so many columns."""
    return text + " " * max(0, width - columns(text))


def padded_left(text: str, width: int) -> str:
    """The same, with the spaces before it."""
    return " " * max(0, width - columns(text)) + text


def duration(seconds: float | None) -> str:
    """`0.4s`, `41s`, `2m10s`, `1h02m`, `3d4h`; `-` where there is none."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{int(max(seconds, 0.0) * 10) / 10}s"
    return durations.text(seconds)


def left(seconds: float) -> str:
    """Time left, as roughly as it is known: `3m left`."""
    if seconds < 60:
        return f"{round(max(1, seconds))}s left"
    if seconds < 3600:
        return f"{round(seconds / 60)}m left"
    return f"{duration(seconds)} left"


def percent(value: float) -> str:
    """`40%`, `12.5%`."""
    return f"{round(value, 1):g}%"


def size(kilobytes: int) -> str:
    """`512 kB`, `64 MB`, `1.5 GB`."""
    if kilobytes < 1024:
        return f"{kilobytes} kB"
    if kilobytes < 1024**2:
        return f"{kilobytes / 1024:.0f} MB"
    return f"{kilobytes / 1024**2:.1f} GB"


def moment(at: datetime | None) -> str:
    """A time in the reader's zone."""
    return "-" if at is None else local(at).strftime("%Y-%m-%d %H:%M:%S")


def local(at: datetime) -> datetime:
    """In the reader's zone, as far as the years 1 to 9999 reach there."""
    try:
        return at.astimezone()
    except (OverflowError, ValueError):
        return at


def clock(at: datetime) -> str:
    """`14:02` if that was today in the reader's zone, else with its date."""
    here = local(at)
    today = datetime.now(here.tzinfo).date()
    return here.strftime("%H:%M" if here.date() == today else "%Y-%m-%d %H:%M")


def when(at: datetime | None, now: datetime | None = None) -> str:
    """A time in the reader's zone, as short as it can be: `14:02`, `Mon 14:02`, `12 Nov`.

    `-` where there is none.
    """
    if at is None:
        return "-"
    here = local(at)
    today = (now or datetime.now(here.tzinfo)).date()
    days = (today - here.date()).days
    if days == 0:
        return here.strftime("%H:%M")
    if 0 < days < _WEEK:
        return here.strftime("%a %H:%M")
    year = "" if here.year == today.year else f" {here.year}"
    return f"{here.day} {here.strftime('%b')}{year}"


def localized(words: str) -> str:
    """Words of the daemon, with each instant in them as the reader's clock shows it."""
    return re.sub(INSTANT, lambda found: _clock_of(found[0]), words)


def _clock_of(written: str) -> str:
    try:
        return clock(datetime.fromisoformat(written))
    except ValueError:
        return written


def seconds_until(at: datetime) -> float:
    """0 where that is over."""
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def selector(ids: Iterable[int]) -> str:
    """Ids as one word that every command takes: `7,12-14`."""
    return ",".join(piece(first, last) for first, last in _pieces(ids))


def some(ids: Iterable[int], total: int) -> str:
    """The same, of many only the first: `7,12-14 and 90 more`. `total`: of all, told or not."""
    pieces = _pieces(ids)[:NAMED]
    more = total - sum(last - first + 1 for first, last in pieces)
    word = ",".join(piece(first, last) for first, last in pieces)
    return f"{word} and {more:,} more" if more > 0 else word


def _pieces(ids: Iterable[int]) -> list[list[int]]:
    pieces: list[list[int]] = []
    for job in sorted(ids):
        if pieces and job == pieces[-1][1] + 1:
            pieces[-1][1] = job
        else:
            pieces.append([job, job])
    return pieces


def piece(first: int, last: int) -> str:
    """`7`, `7,8`, `7-9`."""
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"
