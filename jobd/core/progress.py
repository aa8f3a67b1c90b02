"""How far a job is: what it says itself, or what can be read off its output; and the time left.

A job that knows writes to the file `$JOBD_PROGRESS`; then its word counts. Of any other, the last
line of output is looked at for a form that common tools print (see `forms`). None always means
"nothing to learn here": the caller keeps what it knew.
"""

from __future__ import annotations

import math
import re
from typing import Final

from msgspec import Struct

from jobd.core.forms import percent_in
from jobd.core.tail import WINDOW, last_line

__all__ = ["WINDOW", "Reading", "eta", "from_file", "from_output", "last_line"]

MAX_MESSAGE: Final = 1000
"""Characters; the contract's limit for `jobctl progress -m` too."""
MAX_LINE: Final = 400
"""Characters of a line that is still looked at; no tool draws a longer bar."""

_REPORT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}) ?%?(?: +(.*))?")


class Reading(Struct, frozen=True):
    percent: float
    """From 0 to 100."""
    message: str | None = None


def from_file(content: bytes) -> Reading | None:
    """The last line of a `$JOBD_PROGRESS` file: `40`, `40%` or `40.5 epoch 4 of 10`."""
    if _beheaded(content):
        return None
    match = _REPORT.fullmatch(last_line(content, WINDOW))
    if match is None or not 0 <= float(match[1]) <= 100:
        return None
    return Reading(float(match[1]), (match[2] or "")[:MAX_MESSAGE].strip() or None)


def from_output(tail: bytes) -> Reading | None:
    """The percentage or counter in the last line, finished or not, of a job's output."""
    tail = tail[-WINDOW:]
    if b"%" not in tail and b"/" not in tail and b" of " not in tail:
        return None
    line = last_line(tail, MAX_LINE + 1)
    if len(line) > MAX_LINE or b"Use%" in tail:  # a column of df may be bare percentages
        return None
    percent = percent_in(line)
    return None if percent is None else Reading(percent)


def eta(percent: float, started_at: float, now: float) -> float | None:
    """Seconds left if it goes on as until now; None where nothing can be said yet.

    `started_at`, `now`: seconds on the same clock.
    """
    elapsed = now - started_at
    if not (0 < percent <= 100 and elapsed >= 0):
        return None
    left = elapsed * (100 - percent) / percent
    return left if math.isfinite(left) else None


def _beheaded(content: bytes) -> bool:
    """Whether the last line begins before the window: its first number is not the percentage."""
    window = content.rstrip(b"\r\n")[-WINDOW:]
    return len(content) >= WINDOW and b"\n" not in window
