"""What an attempt has on disk: its output, its `JOBD_PROGRESS`, and a copy of its script."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from jobd.contract.directories import Directory, File
from jobd.contract.paths import Paths, output_name

_FOLDERS: Final = 16
"""How many folders of output are held open."""


class Workspace:
    """Any thread may ask. Nothing is opened before it is used."""

    def __init__(self, paths: Paths) -> None:
        self.output = Directory(paths.output)
        self.progress = Directory(paths.progress)
        self.scripts = Directory(paths.scripts)
        self._paths = paths
        self._folders: dict[str, Directory] = {}

    def output_of(self, job: int, attempt: int) -> File:
        folder, _, name = output_name(job, attempt).rpartition("/")
        return File(self._folder(folder), name)

    def progress_of(self, job: int, attempt: int) -> File:
        return File(self.progress, f"{job}.{attempt}")

    def script_of(self, job: int, program: bytes) -> File:
        return File(self.scripts, self._paths.script_of(job, program).name)

    def delete_empty_folders(self, jobs: Iterable[int]) -> None:
        """Where output of these was; a job that needs one of them just then makes it again."""
        folders = {output_name(job, 1).partition("/")[0] for job in jobs}
        with suppress(OSError):
            where = self.output.now()
            for folder in folders:
                with suppress(OSError):
                    os.rmdir(folder, dir_fd=where.descriptor)

    def release(self) -> None:
        """While nothing runs, no file system is to be kept from being unmounted."""
        self._folders = {}
        for directory in (self.output, self.progress, self.scripts):
            directory.release()

    def _folder(self, name: str) -> Directory:
        found = self._folders.get(name)
        if found is None:
            if len(self._folders) >= _FOLDERS:
                self._folders = {}
            found = self._folders[name] = Directory(f"{self.output.path}/{name}")
        return found
