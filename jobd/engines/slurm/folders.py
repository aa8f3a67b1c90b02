"""Folders in the shared directory: one for each attempt, one for each allocation that is kept."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from jobd.contract.directories import Directory

_GONE: Final = "gone-"
"""The name of one that is being deleted begins with it."""


class Folders:
    """Those of one kind, by name. Any thread may call; one on a dead file server holds whoever
    does.
    """

    def __init__(self, path: str, last: str = "") -> None:
        """`last`: of the files in a folder this one is deleted behind all others."""
        self._all = Directory(path)
        self._last = last

    def folder(self, name: str) -> Directory:
        """Looked for anew each time: what a node made is to be seen, not what was there before."""
        return self._all.below(name)

    def names(self) -> list[str]:
        """Also those of which a crash has left a part: they are to be deleted. Raises: OSError."""
        try:
            return self._all.names()
        except FileNotFoundError:
            return []

    def delete(self, name: str) -> None:
        """It is not needed any more, with files and empty directories in it. What cannot be
        deleted stays.

        It is out of its place in one step: a node that comes by then finds nothing, and not a part.
        """
        with suppress(OSError):
            parent = self._all.now()
            gone = name if name.startswith(_GONE) else _GONE + name
            if gone != name:
                os.rename(name, gone, src_dir_fd=parent.descriptor, dst_dir_fd=parent.descriptor)
            folder = self.folder(gone)
            where = folder.now()
            for entry in sorted(folder.names(), key=lambda entry: entry == self._last):
                _delete(entry, where.descriptor)
            os.rmdir(gone, dir_fd=parent.descriptor)

    def release(self) -> None:
        self._all.release()


def _delete(entry: str, where: int) -> None:
    try:
        os.unlink(entry, dir_fd=where)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        os.rmdir(entry, dir_fd=where)
