"""The last line of output of running jobs, read on from where the last look ended."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
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
_ESCAPES: Final = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])"
)
"""Control sequences and strings of a terminal (ECMA-48)."""
_BREAKS: Final = re.compile(rb"[\r\n]+")


class _Tail(Struct):
    attempt: int
    offset: int | None = None
    kept: bytes = b""


class Tails:
    """The last lines of running jobs, looked at in turn and not too often. For one thread."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._next = 0.0
        self._turn = 0
        self._tails: dict[int, _Tail] = {}

    def of(self, jobs: Sequence[Job]) -> dict[int, str]:
        """The last line of each, as it was at the latest look."""
        self._tails = {job.id: self._known(job) for job in jobs}
        if self._clock() >= self._next:
            self._next = self._clock() + EVERY
            for job in self._whose_turn(jobs):
                self._read_on(job)
        return {job: last_line(tail.kept) for job, tail in self._tails.items()}

    def _known(self, job: Job) -> _Tail:
        known = self._tails.get(job.id)
        return known if known and known.attempt == job.attempt else _Tail(attempt=job.attempt)

    def _whose_turn(self, jobs: Sequence[Job]) -> Sequence[Job]:
        if len(jobs) <= AT_ONCE:
            return jobs
        first, self._turn = self._turn, (self._turn + AT_ONCE) % len(jobs)
        return [*jobs[first:], *jobs[:first]][:AT_ONCE]

    def _read_on(self, job: Job) -> None:
        tail = self._tails[job.id]
        fresh = tail.offset is None
        request = Output(
            id=job.id, attempt=tail.attempt, offset=tail.offset or 0, tail=1 if fresh else None
        )
        try:
            piece = self._client.output(request)
        except NotFound:
            return
        tail.kept = piece.data[-_KEPT:] if fresh else (tail.kept + piece.data)[-_KEPT:]
        behind = len(piece.data) > _FLOOD and b"\n" in piece.data
        tail.offset = None if behind else piece.behind


def last_line(output: bytes) -> str:
    """What stands last on the line that a terminal would show last."""
    lines = _BREAKS.split(_ESCAPES.sub(b"", output))
    return next((said for line in reversed(lines) if (said := _text(line))), "")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").expandtabs().strip()
