"""What a daemon stands on: files that somebody may delete under it, such as a cleaner of /tmp.

The kernel tells when one of them goes (inotify(7)); until then nothing is done. What then becomes
of each is for whoever hands it in: sockets, lock and log are made anew, the database cannot be.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from jobd.system import inotify
from jobd.system.inotify import Inotify

SeeTo = Callable[[], object]
"""Looks whether a file is still there, and does what has to be done where it is not."""
_TAKEN: Final = inotify.MOVED_FROM | inotify.MOVED_TO | inotify.DELETE
"""Out of a directory, or replaced in it."""

log = logging.getLogger(__name__)


class FileWatch:
    """A thread of its own, which calls what sees to a file as soon as that is taken away."""

    def __init__(self, files: Mapping[Path, SeeTo]) -> None:
        """By path, what sees to each when it may have been taken away."""
        self._files = files
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Where the kernel has no inotify left to give, what is deleted goes unnoticed."""
        try:
            watch = Inotify()
        except OSError as error:
            log.warning("files that are deleted will go unnoticed: %s", error)
            return
        watched: dict[tuple[int, bytes], SeeTo] = {}
        for path, see_to in self._files.items():
            try:
                number = watch.add(os.fsencode(path.parent), _TAKEN)
            except OSError as error:
                # Perhaps the directory is not readable, as inotify wants it.
                log.warning("should %s be deleted, it will go unnoticed: %s", path, error)
            else:
                watched[number, os.fsencode(path.name)] = see_to
        self._thread = threading.Thread(
            target=self._run, args=(watch, watched), name="file-watch", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """From now on what goes is meant to go."""
        if self._thread is None:
            os.close(self._end)
        else:
            os.eventfd_write(self._end, 1)

    def _run(self, watch: Inotify, watched: dict[tuple[int, bytes], SeeTo]) -> None:
        poll = select.poll()
        for number in (watch.descriptor, self._end):
            poll.register(number, select.POLLIN)
        while all(number != self._end for number, _ in poll.poll()):
            for number, _, name in watch.read():
                if number == inotify.OVERFLOW:
                    for see_to in watched.values():
                        _try(see_to)
                elif (number, name) in watched:
                    _try(watched[number, name])
        watch.close()
        os.close(self._end)


def _try(see_to: SeeTo) -> None:
    try:
        see_to()
    except Exception:
        log.exception("what was deleted could not be seen to")
