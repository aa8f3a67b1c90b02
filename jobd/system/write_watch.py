"""Files that somebody waits at for more to be written: until then nobody looks at them.

The kernel tells of each write (inotify(7)): one watch a file, however many wait, and one thread
for all files. Whoever writes on this machine is seen, whatever the file system. What is written
elsewhere to a file server, or into a mapping of the file (mmap(2)), is not: those who wait see
that when they look again, for whatever reason.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final

from jobd.system import inotify
from jobd.system.inotify import Change, Inotify

Wake = Callable[[], object]

log = logging.getLogger(__name__)
_WATCHED: Final = (
    inotify.MODIFY | inotify.ATTRIB | inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.MOVED_TO
)
"""Written to or cut; ATTRIB comes when its name is taken away, too. Of a directory: any file in it
is written to or cut, or one comes there as it is.
"""
_BREATH_S: Final = 0.01
"""Seconds between two rounds: a job that writes byte by byte does not keep this thread at work."""


class Watched(Enum):
    """Whether a write will wake who asks."""

    SINCE_NOW = "since now"
    """What was written before may have gone unseen."""
    BEFORE = "before"
    NOT = "not"
    """The kernel has no watch left to give, or there is no such file."""


class _File:
    """`number` is that of its watch, None while the kernel watches nothing."""

    def __init__(self) -> None:
        self.asking = threading.Lock()
        """Held while the kernel is asked: on a dead file server it may not answer, and others who
        wait at the same file would be no better off.
        """
        self.waiting: dict[Wake, int | None] = {}
        """Who is to be woken, and the number of the watch that each knows of."""
        self.number: int | None = None
        self.is_stale = False
        """Another file may lie there by now."""


class WriteWatch:
    """Any thread may call. The first who waits starts its thread; it sleeps while all is silent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[Path, _File] = {}
        self._by_number: dict[int, _File] = {}
        self._inotify: Inotify | None = None
        self._end = -1
        self._closed = False

    def add(self, path: Path, wake: Wake) -> Watched:
        """`path`: of a file, or of a directory for all files in it.

        `wake` is called after each write, and when the file is deleted or replaced; brief.

        To call it again is to see to it that the file which lies there now is watched.
        """
        with self._lock:
            if self._closed:
                return Watched.NOT
            file = self._files.setdefault(path, _File())
            file.waiting.setdefault(wake, None)
        with file.asking:
            try:
                number = self._watched(path, file)
            except (OSError, RuntimeError):
                return Watched.NOT
            if file.waiting.get(wake) == number:
                return Watched.BEFORE
            file.waiting[wake] = number
            return Watched.SINCE_NOW

    def discard(self, path: Path, wake: Wake) -> None:
        """The opposite of `add`; the last one takes the watch away."""
        with self._lock:
            file = self._files.get(path)
        if file is None:
            return
        with file.asking:
            with self._lock:
                file.waiting.pop(wake, None)
                if file.waiting:
                    return
            self._forget(file)
            with self._lock:
                # Somebody else may have come meanwhile, and waits for us to be done.
                if not file.waiting:
                    self._files.pop(path, None)

    def close(self) -> None:
        """From now on nobody is woken."""
        with self._lock:
            if not self._closed and self._inotify is not None:
                os.eventfd_write(self._end, 1)
            self._closed = True

    def _watched(self, path: Path, file: _File) -> int:
        """The number of its watch. Raises: OSError, RuntimeError (no thread can be started)."""
        if file.number is not None and not file.is_stale:
            return file.number
        with self._lock:
            watch = self._started()
        self._forget(file)
        number = watch.add(os.fsencode(path), _WATCHED)
        with self._lock:
            self._by_number[number] = file
            file.number = number
        return number

    def _forget(self, file: _File) -> None:
        with self._lock:
            number, file.number, file.is_stale = file.number, None, False
            watch = None if self._closed else self._inotify
            if number is not None:
                self._by_number.pop(number, None)
        if number is not None and watch is not None:
            with suppress(OSError):  # the kernel has done so where the file is gone
                watch.remove(number)

    def _started(self) -> Inotify:
        """Raises: OSError (also when closed), RuntimeError."""
        if self._closed:
            raise OSError("closed")
        if self._inotify is None:
            watch, end = Inotify(), os.eventfd(0, os.EFD_CLOEXEC)
            try:
                threading.Thread(
                    target=self._run, args=(watch, end), name="written", daemon=True
                ).start()
            except RuntimeError:
                watch.close()
                os.close(end)
                raise
            self._inotify, self._end = watch, end
        return self._inotify

    # --- its thread ---------------------------------------------------------------------------

    def _run(self, watch: Inotify, end: int) -> None:
        poll = select.poll()
        for number in (watch.descriptor, end):
            poll.register(number, select.POLLIN)
        ending = select.poll()
        ending.register(end, select.POLLIN)
        while all(number != end for number, _ in poll.poll()):
            for change in watch.read():
                self._tell(change)
            ending.poll(_BREATH_S * 1000)
        with self._lock:
            files = list(self._files.values())
        for file in files:
            # Nobody begins to ask the kernel any more, and whoever did is waited for: its number
            # of a descriptor must not become that of another.
            with file.asking:
                pass
        watch.close()
        os.close(end)

    def _tell(self, change: Change) -> None:
        with self._lock:
            if change.number == inotify.OVERFLOW:
                wakes = [wake for file in self._files.values() for wake in file.waiting]
            else:
                file = self._by_number.get(change.number)
                wakes = [] if file is None else list(file.waiting)
                if file is not None and change.mask & ~inotify.MODIFY:
                    # Who waits asks for the one that lies there now.
                    file.is_stale = True
        for wake in wakes:
            try:
                wake()
            except Exception:
                log.exception("who waits for a write could not be woken")
