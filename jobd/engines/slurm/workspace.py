"""What attempts leave in the shared directory, read from here.

A file server tells nobody that a node has written: whoever follows an output is woken by a thread
that looks once a second, for as long as somebody follows any.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobd.contract.directories import File
from jobd.contract.paths import Paths
from jobd.outputs.on_disk import DiskOutput, DiskWorkspace
from jobd.outputs.workspace import Wake

log = logging.getLogger(__name__)
_EVERY_S: Final = 1.0
"""Seconds between two looks at outputs that are followed."""


def outputs_in(directory: Path) -> Path:
    """Where output lies in the folder of an instance."""
    return _paths_in(directory).output


def _paths_in(directory: Path) -> Paths:
    """Laid out as at home."""
    return Paths(directory, directory / "config.toml")


class SharedOutput(DiskOutput):
    """A file that a node writes into."""

    def __init__(self, file: File, looks: Looks) -> None:
        super().__init__(file)
        self._looks = looks

    @property
    def watched(self) -> Path | None:
        return None

    def watch(self, wake: Wake) -> Wake:
        return self._looks.add(self.file, wake)


class SharedWorkspace(DiskWorkspace):
    """As `jobd.outputs.workspace.Workspace`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(_paths_in(directory))
        self._looks = Looks()

    def output_of(self, job: int, attempt: int) -> SharedOutput:
        return SharedOutput(self.output_file(job, attempt), self._looks)

    def sweep(self, running: Container[int]) -> None:
        with suppress(FileNotFoundError):  # nothing has ever run
            super().sweep(running)

    def close(self) -> None:
        """Nobody is woken any more."""
        self._looks.close()


class Looks:
    """Looks at files, in a thread that is there while there are any. Any thread may call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._files: dict[int, _Followed] = {}
        self._next = 0
        self._looking = self._closed = False

    def add(self, file: File, wake: Wake) -> Callable[[], object]:
        """Call `wake` when it changes from now on; what is given ends that. Raises: OSError."""
        followed = _Followed(file, wake)
        with self._changed:
            self._next = number = self._next + 1
            self._files[number] = followed
            if not (self._looking or self._closed):
                self._looking = True
                threading.Thread(target=self._run, name="slurm outputs", daemon=True).start()
        return lambda: self._remove(number)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._files.clear()
            self._changed.notify_all()

    def _remove(self, number: int) -> None:
        with self._changed:
            self._files.pop(number, None)
            self._changed.notify_all()

    def _run(self) -> None:
        while files := self._waited():
            for followed in files:
                followed.look()

    def _waited(self) -> list[_Followed]:
        with self._changed:
            self._changed.wait_for(lambda: not self._files, _EVERY_S)
            self._looking = bool(self._files)
            return list(self._files.values())


class _Followed:
    def __init__(self, file: File, wake: Wake) -> None:
        self._file = file
        self._wake = wake
        self._known = self._state()

    def look(self) -> None:
        known = self._state()
        if known != self._known:
            self._known = known
            try:
                self._wake()
            except Exception:
                log.exception("%s: whoever follows it was not woken", self._file.path)

    def _state(self) -> tuple[int, ...] | None:
        """By opening it, or what the file server said a while ago is said again."""
        try:
            descriptor = self._file.open(os.O_RDONLY)
        except OSError:
            return None
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return found.st_ino, found.st_size, found.st_mtime_ns
