"""The last line of output of running jobs, read on from where the last look ended: of those that
are new, and of those of which the daemon says that they have printed more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from math import inf
from typing import Final

from msgspec import Struct

from jobd.client.client import Client
from jobd.contract.errors import NotFound
from jobd.contract.models import Job, Output

EVERY: Final = 0.5
"""Seconds between two looks at least."""
AT_ONCE: Final = 20
"""Outputs that are looked at in one go; where there are more, they take turns."""
_KEPT: Final = 4096
"""Bytes of an output's end that are kept."""
_FLOOD: Final = 65536
"""Bytes in one go beyond which only the end is asked for the next time."""
SEQUENCE: Final = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])"
"""A control sequence or string of a terminal (ECMA-48)."""
_ESCAPES: Final = re.compile(SEQUENCE.encode())
_BREAKS: Final = re.compile(rb"[\r\n]+")


class _Tail(Struct):
    attempt: int
    offset: int | None = None
    """Where to read on; None: from the last line on, whatever comes before it."""
    known: int = 0
    """Bytes of the output up to which it has been read or left out."""
    kept: bytes = b""


class Tails:
    """The last lines of running jobs, looked at in turn and not too often. For one thread."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._next = 0.0
        self._tails: dict[int, _Tail] = {}
        self._due: dict[int, None] = {}
        """Those that are to be looked at, the next one first."""

    def of(self, jobs: Sequence[Job], written: Iterable[int] | None = None) -> dict[int, str]:
        """The last line of each, as it was at the latest look.

        `written`: which have printed more; None: each of them may have.
        """
        before = self._tails
        self._tails = {job.id: _tail_of(job, before.get(job.id)) for job in jobs}
        fresh = [job for job, tail in self._tails.items() if tail is not before.get(job)]
        told = self._tails if written is None else written
        due = dict.fromkeys([*self._due, *fresh, *told])
        self._due = {job: None for job in due if job in self._tails}
        if self._due and self._clock() >= self._next:
            self._next = self._clock() + EVERY
            for job in list(islice(self._due, AT_ONCE)):
                self._read_on(job)
                del self._due[job]
        return {job: last_line(tail.kept) for job, tail in self._tails.items()}

    def known(self) -> dict[int, int]:
        """How many bytes of each output are known, but for those that are to be looked at."""
        return {job: tail.known for job, tail in self._tails.items() if job not in self._due}

    def pause(self) -> float:
        """Seconds until the next look; infinite while there is nothing to look at."""
        return max(0.0, self._next - self._clock()) if self._due else inf

    def _read_on(self, job: int) -> None:
        tail = self._tails[job]
        fresh = tail.offset is None
        request = Output(
            id=job, attempt=tail.attempt, offset=tail.offset or 0, tail=1 if fresh else None
        )
        try:
            piece = self._client.output(request)
        except NotFound:
            return
        tail.kept = (b"" if fresh or piece.anew else tail.kept) + piece.data
        tail.kept = tail.kept[-_KEPT:]
        behind = len(piece.data) > _FLOOD and b"\n" in piece.data
        tail.offset = None if behind else piece.behind
        tail.known = piece.behind


def _tail_of(job: Job, tail: _Tail | None) -> _Tail:
    """What is known of its latest attempt."""
    return tail if tail and tail.attempt == job.attempt else _Tail(attempt=job.attempt)


def last_line(output: bytes) -> str:
    """What stands last on the line that a terminal would show last."""
    lines = _BREAKS.split(_ESCAPES.sub(b"", output))
    return next((said for line in reversed(lines) if (said := _text(line))), "")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").expandtabs().strip()
