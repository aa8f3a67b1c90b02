"""What a daemon stands on: files that somebody may delete under it, such as a cleaner of /tmp.

The kernel tells when one of them goes (inotify(7)); until then nothing is done. What can be made
anew is: the socket, the lock. What cannot, the database, is told, and nothing pretends to be saved.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from jobd import kernel

log = logging.getLogger(__name__)


class Footing:
    def __init__(self, files: Mapping[Path, Callable[[], object]]) -> None:
        """What sees to each of them when it may have been taken away."""
        self._files = files
        self._end = os.eventfd(0, os.EFD_CLOEXEC)

    def start(self) -> None:
        """Where the kernel has no inotify left to give, what is deleted goes unnoticed."""
        directories = {path.parent for path in self._files}
        try:
            watch = kernel.Watch()
            try:
                watched = {
                    watch.add(os.fsencode(directory)): directory for directory in directories
                }
            except OSError:
                watch.close()
                raise
        except OSError as error:
            log.warning("files that are deleted will go unnoticed: %s", error)
        else:
            threading.Thread(
                target=self._run, args=(watch, watched), name="footing", daemon=True
            ).start()

    def close(self) -> None:
        """From now on what goes is meant to go."""
        os.eventfd_write(self._end, 1)

    def _run(self, watch: kernel.Watch, watched: dict[int, Path]) -> None:
        poll = select.poll()
        for number in (watch.descriptor, self._end):
            poll.register(number, select.POLLIN)
        while all(number != self._end for number, _ in poll.poll()):
            for number, name in watch.read():
                see_to = self._files.get(watched[number] / os.fsdecode(name))
                if see_to is not None:
                    _try(see_to)
        watch.close()


def _try(see_to: Callable[[], object]) -> None:
    try:
        see_to()
    except Exception:
        log.exception("what was deleted could not be seen to")
