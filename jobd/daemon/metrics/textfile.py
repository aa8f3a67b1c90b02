"""A file with all numbers for node_exporter, written again when something has happened."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jobd.daemon.jobs.notifier import Subscriber
from jobd.system.rounds import Bell, Rounds

log = logging.getLogger(__name__)
_PAUSE_S: Final = 10.0
"""Seconds between an event and the file that tells of it, so that one file tells of many."""
_NAME: Final = "jobd.prom"
_MODE: Final = 0o644
"""node_exporter is another user."""


class TextFile(Subscriber):
    """A thread of its own, which sleeps while nothing happens; started and closed by the main one.

    Promises that whoever reads the file sees a whole one.
    """

    def __init__(self, directory: Path, text: Callable[[], bytes]) -> None:
        self._path = directory / _NAME
        self._text = text
        self._failed = False
        self._rounds = Rounds("textfile", self._write, Bell(), gather_s=_PAUSE_S)

    def start(self) -> None:
        self._write()
        self._rounds.start()

    def close(self) -> None:
        """The file goes: what it says is true no more."""
        if self._rounds.close():
            self._path.unlink(missing_ok=True)

    def published(self, last_event: int) -> None:  # noqa: ARG002 - whichever it is
        self._rounds.bell.ring()

    def _write(self) -> None:
        """Tried again at the next event; that it fails is told once."""
        fresh = self._path.with_name(f".{_NAME}.{os.getpid()}")
        try:
            fresh.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with open(os.open(fresh, flags, _MODE), "wb") as file:
                os.fchmod(file.fileno(), _MODE)
                file.write(self._text())
            fresh.replace(self._path)
        except OSError as error:
            if not self._failed:
                log.warning("[metrics] textfile: %s: %s", self._path, error.strerror)
            self._failed = True
        else:
            self._failed = False
