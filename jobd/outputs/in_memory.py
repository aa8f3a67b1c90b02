"""A workspace in memory: for engines whose jobs are no more than that, and for those that have
nothing to show. Whoever follows is woken by the write itself.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Final

from jobd.contract.errors import NotFound
from jobd.outputs.workspace import Found, NotCuttable, Stored, Wake

_PIECE: Final = 1024 * 1024
"""Bytes in one answer."""


class MemoryOutput:
    """As `jobd.outputs.workspace.Output`; `write` adds to it, from any thread."""

    def __init__(self, job: int, attempt: int) -> None:
        self.path = f"memory:{job}.{attempt}"
        self._job = job
        self._attempt = attempt
        self._lock = threading.Lock()
        self._content: bytes | None = None
        self._wakes: list[Wake] = []

    @property
    def watched(self) -> Path | None:
        return None

    def write(self, data: bytes) -> None:
        """Also nothing: then it is there, and empty."""
        with self._lock:
            self._content = (self._content or b"") + data
            wakes = list(self._wakes)
        for wake in wakes:
            wake()

    def delete(self) -> None:
        with self._lock:
            self._content = None

    def watch(self, wake: Wake) -> Wake:
        with self._lock:
            self._wakes.append(wake)
        return lambda: self._leave(wake)

    def piece(self, offset: int, tail: int | None, *, missing_ok: bool, seen: bytes = b"") -> Found:
        del seen  # it only grows
        content = self._content
        if content is None:
            if missing_ok:
                return Found(b"", offset, offset, last=True)
            raise NotFound(f"the output of job {self._job} is gone (attempt {self._attempt})")
        begin = offset if tail is None else _tail_offset(content, tail)
        data = content[begin : begin + _PIECE]
        return Found(data, begin, begin + len(data), last=len(data) < _PIECE)

    def has_more(self, offset: int) -> bool:
        return self.size() > offset

    def end(self, size: int) -> bytes:
        return (self._content or b"")[-size:]

    def begin(self, size: int) -> bytes:
        return (self._content or b"")[:size]

    def growing(self, window: int) -> MemoryGrowing:
        return MemoryGrowing(self, window)

    def size(self) -> int:
        return len(self._content or b"")

    def was_emptied(self) -> bool:
        """It only grows."""
        return False

    def stored(self) -> Stored:
        return Stored(self.path, self.size(), self.size())

    def cut(self, limit: int, *, final: bool) -> None:
        del final
        if self.size() > limit:
            raise NotCuttable("outputs in memory are kept whole")

    def _leave(self, wake: Wake) -> None:
        with self._lock:
            self._wakes.remove(wake)


def _tail_offset(content: bytes, lines: int) -> int:
    """Where the last lines begin. A final line feed closes the last one."""
    if not lines:
        return len(content)
    at = len(content) - content.endswith(b"\n")
    for _ in range(lines):
        at = content.rfind(b"\n", 0, at)
        if at < 0:
            return 0
    return at + 1


class MemoryGrowing:
    """As `jobd.outputs.workspace.Growing`."""

    def __init__(self, output: MemoryOutput, window: int) -> None:
        self._output = output
        self._window = window
        self._seen = 0

    def news(self) -> bytes | None:
        size = self._output.size()
        if size == self._seen:
            return None
        self._seen = size
        return self._output.end(self._window)

    def forget(self) -> None:
        self._seen = 0


class MemoryWorkspace:
    """As `jobd.outputs.workspace.Workspace`."""

    at_risk = False
    """Nothing of it outlives the process, so nobody looks for it afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outputs: dict[tuple[int, int], MemoryOutput] = {}
        self._reports: dict[tuple[int, int], MemoryOutput] = {}

    @property
    def root(self) -> None:
        return None

    def output_of(self, job: int, attempt: int) -> MemoryOutput:
        with self._lock:
            return self._outputs.setdefault((job, attempt), MemoryOutput(job, attempt))

    def report(self, job: int, attempt: int) -> MemoryOutput:
        """What the attempt writes its progress into."""
        with self._lock:
            return self._reports.setdefault((job, attempt), MemoryOutput(job, attempt))

    def report_path(self, job: int, attempt: int) -> str:
        return f"{self.report(job, attempt).path}.progress"

    @property
    def reports(self) -> None:
        return None

    def report_of(self, job: int, attempt: int, window: int) -> MemoryGrowing:
        return MemoryGrowing(self.report(job, attempt), window)

    def tidy(self, job: int, attempt: int, program: bytes | None) -> None:
        del program
        with self._lock:
            self._reports.pop((job, attempt), None)

    def sweep(self, running: Container[int]) -> None:
        with self._lock:
            for job, attempt in list(self._reports):
                if job not in running:
                    del self._reports[job, attempt]

    def make_anew(self, job: int, attempt: int) -> None:
        self.output_of(job, attempt).write(b"")

    def delete(self, job: int, attempt: int) -> None:
        with self._lock:
            output = self._outputs.pop((job, attempt), None)
        if output is not None:
            output.delete()

    def sync(self, attempts: Sequence[tuple[int, int]]) -> None:
        """Nothing of it outlives the process."""

    def sync_folders(self, jobs: Iterable[int]) -> None:
        """Nothing of it outlives the process."""

    def delete_empty_folders(self, jobs: Iterable[int]) -> None:
        del jobs

    def release(self) -> None:
        return
