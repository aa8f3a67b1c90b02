"""Lines of several jobs' output, each behind the job that it is of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from jobctl.render import streams

_COLOURS: Final = ("cyan", "yellow", "green", "magenta", "blue", "red")
_ESCAPE: Final = b"\x1b"
_RESET: Final = b"\x1b[0m"
_LONGEST: Final = 1024 * 1024
"""Bytes after which a line is shown although it has not ended."""


class Lines:
    """Puts output together to lines, as it comes from any number of jobs, and prints them.

    `prefix`: with the job before each line. `pattern`: only lines in which it is found.
    """

    def __init__(self, *, prefix: bool, pattern: re.Pattern[bytes] | None = None) -> None:
        self._prefix = prefix
        self._pattern = pattern
        self._begun: dict[int, bytes] = {}
        self._width = 2

    def expect(self, jobs: Iterable[int]) -> None:
        """Lines of these will come: all stand below each other from the first one on."""
        self._width = max([self._width, *(len(str(job)) for job in jobs)])

    def add(self, job: int, data: bytes) -> None:
        *whole, rest = (self._begun.pop(job, b"") + data).split(b"\n")
        if len(rest) > _LONGEST:
            whole, rest = [*whole, rest], b""
        if rest:
            self._begun[job] = rest
        self._print(job, whole)

    def end(self, job: int) -> None:
        """No more comes of it, or of this attempt."""
        rest = self._begun.pop(job, b"")
        if rest:
            self._print(job, [rest])

    def _print(self, job: int, lines: list[bytes]) -> None:
        if self._pattern is not None:
            lines = [line for line in lines if self._pattern.search(line)]
        if self._prefix:
            self.expect([job])
            before = f"{job:>{self._width}} | "
            begin = streams.painted(before, _COLOURS[job % len(_COLOURS)]).encode()
            # What a carriage return has overwritten would overwrite the job, too.
            lines = [begin + line.rstrip(b"\r").rpartition(b"\r")[2] for line in lines]
            if streams.on_terminal():
                # Nor does a colour that it has not put back reach the next line.
                lines = [line + _RESET if _ESCAPE in line[len(begin) :] else line for line in lines]
        if lines:
            streams.raw(b"\n".join(lines) + b"\n")
