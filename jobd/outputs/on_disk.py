"""A workspace in directories of this machine, or of a file server that it has mounted."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobd.contract.directories import Directory, File
from jobd.contract.paths import Paths, output_name
from jobd.outputs import limit, packing
from jobd.outputs.files import GrowingFile, has_more, read_head, read_piece, read_tail, was_emptied
from jobd.outputs.packed import leftovers_of, packed_of
from jobd.outputs.workspace import Found, Stored, Wake
from jobd.system import linux

log = logging.getLogger(__name__)
_FEW: Final = 8
"""Outputs that are brought to the disk one by one."""
_FOLDERS: Final = 16
"""How many folders of output are held open."""


class DiskOutput:
    """A file that its attempt writes straight into. As `jobd.outputs.workspace.Output`."""

    def __init__(self, file: File) -> None:
        self.file = file

    @property
    def path(self) -> str:
        return self.file.path

    @property
    def watched(self) -> Path | None:
        return Path(self.file.path)

    def watch(self, wake: Wake) -> Wake:
        del wake
        raise OSError(errno.EOPNOTSUPP, "the kernel tells of it", self.path)

    def piece(self, offset: int, tail: int | None, *, missing_ok: bool, seen: bytes = b"") -> Found:
        return read_piece(self.file, offset, tail, missing_ok=missing_ok, seen=seen)

    def has_more(self, offset: int) -> bool:
        return has_more(self.file, offset)

    def end(self, size: int) -> bytes:
        return read_tail(self.file, size)

    def begin(self, size: int) -> bytes:
        return read_head(self.file, size)

    def growing(self, window: int) -> GrowingFile:
        return GrowingFile(self.file, window)

    def size(self) -> int:
        return limit.kept_size(self.file)

    def was_emptied(self) -> bool:
        return was_emptied(self.file)

    def stored(self) -> Stored:
        return packing.stored(self.file)

    def cut(self, most: int, *, final: bool) -> None:
        limit.cut(self.file, most, final=final)


def _sync(file: File) -> None:
    """Raises: OSError."""
    descriptor = file.open(os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


class DiskWorkspace:
    """As `jobd.outputs.workspace.Workspace`. Nothing is opened before it is used."""

    at_risk = True

    def __init__(self, paths: Paths) -> None:
        self.output = Directory(paths.output)
        self.progress = Directory(paths.progress)
        self.scripts = Directory(paths.scripts)
        self._paths = paths
        self._folders: dict[str, Directory] = {}

    @property
    def root(self) -> Path:
        return self._paths.output

    def output_of(self, job: int, attempt: int) -> DiskOutput:
        return DiskOutput(self.output_file(job, attempt))

    def output_file(self, job: int, attempt: int) -> File:
        folder, _, name = output_name(job, attempt).rpartition("/")
        return File(self._folder(folder), name)

    def _is_packed(self, job: int, attempt: int) -> bool:
        try:
            packed_of(self.output_file(job, attempt)).look()
        except OSError:
            return False
        return True

    def report_path(self, job: int, attempt: int) -> str:
        return self._report(job, attempt).path

    @property
    def reports(self) -> Path:
        return self._paths.progress

    def report_of(self, job: int, attempt: int, window: int) -> GrowingFile:
        return GrowingFile(self._report(job, attempt), window)

    def script_file(self, job: int, program: bytes) -> File:
        """Where the script of an attempt lies while it runs; `program`: what it was named by."""
        return File(self.scripts, self._paths.script_of(job, program).name)

    def tidy(self, job: int, attempt: int, program: bytes | None) -> None:
        with suppress(OSError):
            self._report(job, attempt).take_back()
        if program is not None:
            with suppress(OSError):
                self.script_file(job, program).take_back()

    def sweep(self, running: Container[int]) -> None:
        for name in self.scripts.names():
            job = name.partition(".")[0]
            if job.isdecimal() and int(job) not in running:
                with suppress(FileNotFoundError):
                    self.scripts.file(name).unlink()

    def make_anew(self, job: int, attempt: int) -> None:
        # An empty one would be read in the place of the compressed one.
        if not self._is_packed(job, attempt):
            os.close(self.output_file(job, attempt).make(os.O_WRONLY))

    def delete(self, job: int, attempt: int) -> None:
        output = self.output_file(job, attempt)
        for file in (output, limit.note_of(output), *leftovers_of(output)):
            try:
                with suppress(FileNotFoundError):
                    file.unlink()
            except OSError as error:
                # A file that stays must not keep others from being deleted.
                log.warning("%s stays: %s", file.path, error.strerror)

    def delete_empty_folders(self, jobs: Iterable[int]) -> None:
        folders = {output_name(job, 1).partition("/")[0] for job in jobs}
        with suppress(OSError):
            where = self.output.now()
            for folder in folders:
                with suppress(OSError):
                    os.rmdir(folder, dir_fd=where.descriptor)

    def sync(self, attempts: Sequence[tuple[int, int]]) -> None:
        """A few are synced one by one. Many go with all that the file system holds: that is one
        wait for the disk, and not one for each.
        """
        if len(attempts) > _FEW:
            # Not the O_PATH descriptor that is held open: syncfs(2) takes none.
            held = self.output.now()
            where = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=held.descriptor)
            try:
                linux.sync_file_system(where)
            finally:
                os.close(where)
            return
        for job, attempt in attempts:
            # The job may be removed by now.
            with suppress(FileNotFoundError):
                _sync(self.output_file(job, attempt))
        self.sync_folders(job for job, _ in attempts)

    def sync_folders(self, jobs: Iterable[int]) -> None:
        folders = {output_name(job, 1).partition("/")[0] for job in jobs}
        with suppress(FileNotFoundError):  # all output was deleted
            for folder in folders:
                with suppress(FileNotFoundError):
                    Directory(f"{self.output.path}/{folder}").sync()
            self.output.sync()

    def release(self) -> None:
        self._folders = {}
        for directory in (self.output, self.progress, self.scripts):
            directory.release()

    def _report(self, job: int, attempt: int) -> File:
        return File(self.progress, f"{job}.{attempt}")

    def _folder(self, name: str) -> Directory:
        found = self._folders.get(name)
        if found is None:
            if len(self._folders) >= _FOLDERS:
                self._folders = {}
            found = self._folders[name] = Directory(f"{self.output.path}/{name}")
        return found
