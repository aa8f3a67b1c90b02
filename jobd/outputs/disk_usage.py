"""How much room all output files take, and which jobs have left some."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobd.contract.directories import Directory

_COUNTED_FILES: Final = 20_000
"""Files whose sizes are added up for `jobd status`; of more the size is not told."""
_PATIENCE_S: Final = 0.5
"""How long whoever asks for the size of all output waits for it."""


def highest_job(roots: Iterable[Path]) -> int:
    """The highest id that has left output in any of them; 0: none has."""
    return max(map(_highest_job, roots), default=0)


def _highest_job(root: Path) -> int:
    """Of a thousand folders one is read."""
    folders = [int(name) for name in _names(root) if name.isdecimal()]
    for folder in sorted(folders, reverse=True):
        jobs = [name.partition(".")[0] for name in _names(root / str(folder))]
        if found := [int(job) for job in jobs if job.isdecimal()]:
            return max(found)
    return 0


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


class DiskUsage:
    """How much some directories hold, measured beside whoever asks: a file server may be dead.

    Any thread may ask. Promises an answer within half a second, and one measurement at a time.
    """

    def __init__(self, roots: Collection[Path]) -> None:
        self._roots = roots
        self._lock = threading.Lock()
        self._measuring: Future[int | None] | None = None

    def measured(self) -> int | None:
        """Bytes on disk; None: there are too many files to count them, or no answer comes."""
        with self._lock:
            if self._measuring is None:
                self._measuring = Future()
                try:
                    threading.Thread(target=self._measure, name="usage", daemon=True).start()
                except RuntimeError:
                    self._measuring = None
                    return None
            measuring = self._measuring
        try:
            return measuring.result(_PATIENCE_S)
        except TimeoutError:
            return None

    def _measure(self) -> None:
        size = _size_of(self._roots)
        with self._lock:
            measured, self._measuring = self._measuring, None
        assert measured is not None
        measured.set_result(size)


def _size_of(roots: Collection[Path]) -> int | None:
    """None: there are too many files."""
    total, left = 0, _COUNTED_FILES
    for root in roots:
        size, count = _tree_size(root, left)
        if count > left:
            return None
        total, left = total + size, left - count
    return total


def _tree_size(root: Path, most: int) -> tuple[int, int]:
    """Bytes and files; of more than `most` it counts no further."""
    total = count = 0
    with suppress(OSError):
        where = Directory(root).now()
        for _, _, files, folder in os.fwalk(".", dir_fd=where.descriptor):
            for name in files:
                count += 1
                if count > most:
                    return total, count
                with suppress(OSError):
                    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    # What was cut out of an output takes no room (units of 512 bytes: stat(2)).
                    total += min(found.st_size, found.st_blocks * 512)
    return total, count
