"""Folders in the shared directory: one for each attempt, one for each allocation that is kept."""

from __future__ import annotations

import os
from contextlib import suppress

from jobd.contract.directories import Directory


class Folders:
    """Those of one kind, by name. Any thread may call; one on a dead file server holds whoever
    does.
    """

    def __init__(self, path: str) -> None:
        self._all = Directory(path)

    def folder(self, name: str) -> Directory:
        """Looked for anew each time: what a node made is to be seen, not what was there before."""
        return Directory(f"{self._all.path}/{name}")

    def names(self) -> list[str]:
        """Raises: OSError."""
        try:
            return self._all.names()
        except FileNotFoundError:
            return []

    def delete(self, name: str) -> None:
        """It is not needed any more, with files and empty directories in it. What cannot be
        deleted stays.
        """
        folder = self.folder(name)
        with suppress(OSError):
            where = folder.now()
            for entry in folder.names():
                try:
                    os.unlink(entry, dir_fd=where.descriptor)
                except FileNotFoundError:
                    continue
                except IsADirectoryError:
                    os.rmdir(entry, dir_fd=where.descriptor)
            parent = self._all.now()
            os.rmdir(name, dir_fd=parent.descriptor)

    def release(self) -> None:
        self._all.release()
