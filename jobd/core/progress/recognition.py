"""How far a job is: what it says itself, or what can be read off its output.

A job that knows writes to the file `$JOBD_PROGRESS`; then its word counts. Of any other, the last
lines of output are looked at for a form that common tools print (see `forms`), or for what the
user's own rule finds (see `rules`). None always means "nothing to learn here": the caller keeps
what it knew.

Not the last line alone: at any moment pytest has begun the next test's line and wget its next row
of dots, aria2 has drawn a ruler below and ctest has named what it starts. The newest line that
says something counts. A number that stands alone means progress only as the very last line.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from msgspec import Struct

from jobd.contract.wording import printable
from jobd.core.progress.last_line import WINDOW, last_line, last_lines
from jobd.core.progress.patterns import percent_in, played_in
from jobd.core.progress.user_pattern import AUTO, NONE, Rule

__all__ = [
    "HEAD",
    "TOO_SLOW",
    "WINDOW",
    "Reading",
    "from_file",
    "from_output",
    "last_line",
    "message_of",
    "wants_head",
]

MAX_MESSAGE: Final = 1000
"""Characters; the contract's limit for `jobctl progress -m` too."""
MAX_LINE: Final = 400
"""Characters of a line that is still looked at; no tool draws a longer bar."""
MAX_LINES: Final = 10
"""Lines from the end that are looked at; aria2 and rclone draw such blocks."""
HEAD: Final = 8192
"""Bytes from the begin of the output in which ffmpeg has said how long its input is."""

TOO_SLOW: Final = (
    "--progress is too slow for this output and was given up; use fewer of .* and the like"
)
"""The message of a job whose own rule was ended."""

_REPORT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}) ?%?(?: +(.*))?")


class Reading(Struct, frozen=True):
    """What a job was found to say of its progress."""

    percent: float | None
    """From 0 to 100; None: it is not known, and the message says why."""
    message: str | None = None


def from_file(content: bytes) -> Reading | None:
    """The last line of a `$JOBD_PROGRESS` file: `40`, `40%` or `40.5 epoch 4 of 10`."""
    if _beheaded(content):
        return None
    match = _REPORT.fullmatch(last_line(content, WINDOW))
    if match is None or not 0 <= float(match[1]) <= 100:
        return None
    return Reading(float(match[1]), message_of(match[2] or ""))


def message_of(said: str) -> str | None:
    """What a job says of itself, as it is kept: one line, cut where it is too long."""
    return printable(said.strip())[:MAX_MESSAGE].strip() or None


def from_output(tail: bytes, head: bytes = b"", rule: Rule = AUTO) -> Reading | None:
    """How far the last lines of a job's output, finished or not, say that it is.

    `head`: its first `HEAD` bytes, for tools that say only there how much there is to do. Whether
    they can matter: `wants_head(tail)`.

    Raises: TooSlowError (the user's rule was ended).
    """
    tail = tail[-WINDOW:]
    if rule is NONE or (rule is AUTO and not _may_say(tail)):
        return None
    lines = islice(last_lines(tail), MAX_LINES)
    if rule is AUTO:
        found = (_recognised(line, tail, head, last=not i) for i, line in enumerate(lines))
        percent = next((percent for percent in found if percent is not None), None)
    else:
        percent = rule.newest(lines)
    return None if percent is None else Reading(percent)


def _recognised(line: str, tail: bytes, head: bytes, *, last: bool) -> float | None:
    percent = percent_in(line, last=last) if len(line) <= MAX_LINE else None
    if percent is None and " time=" in line:
        percent = played_in(line, (head + b"\n" + tail).decode("utf-8", "replace"))
    return percent


def wants_head(tail: bytes) -> bool:
    """Whether the begin of the output would help: ffmpeg says there how long its input is."""
    return b" time=" in tail


def _may_say(tail: bytes) -> bool:
    if b"Use%" in tail:  # a column of df may be bare percentages
        return False
    return b"%" in tail or b"/" in tail or b" of " in tail or b"--:--" in tail or wants_head(tail)


def _beheaded(content: bytes) -> bool:
    """Whether the last line begins before the window: its first number is not the percentage."""
    window = content.rstrip(b"\r\n")[-WINDOW:]
    return len(content) >= WINDOW and b"\n" not in window
