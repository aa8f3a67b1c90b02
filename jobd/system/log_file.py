"""The daemon's own log, kept from growing for ever. Standard library only.

Supervisor and daemon write to it through inherited descriptors (O_APPEND). The daemon gives the
full file another name, opens a new one in its place for itself, and tells the supervisor to do the
same: what that writes meanwhile goes to the old file, so no line is lost.

It is a file of ours under one name: nothing is written through a link, or into what is another's.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

KEPT: Final = 3
"""Old logs: `jobd.log.1` is the latest of them."""
_STREAMS: Final = (1, 2)
_FLAGS: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)
_NO_FILE: Final = (errno.ELOOP, errno.ENXIO, errno.EISDIR)
"""What open(2) says of a link, of a FIFO that nobody reads, of a directory."""


def reopen(path: str, streams: tuple[int, ...] = _STREAMS) -> None:
    """From now on what this process writes to its standard streams goes there. Raises: OSError."""
    descriptor = open_log(path)
    try:
        for stream in streams:
            os.dup2(descriptor, stream)
    finally:
        os.close(descriptor)


class Voice:
    """What a process without logging says into the log, which may itself lie on a full disk."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.as_json = False
        """Each line is to be one of JSON, as those of the daemon then are."""

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, self._line(line).encode("utf-8", "backslashreplace"))

    def _line(self, line: str) -> str:
        if not self.as_json:
            return f"{self._name}: {line}\n"
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        said = {"at": at, "level": "warning", "logger": f"jobd.{self._name}", "message": line}
        return json.dumps(said) + "\n"


class LogFile(logging.StreamHandler[TextIO]):
    """Writes to stderr; where that is the log at `path`, it is never much longer than `limit`."""

    def __init__(
        self,
        path: str,
        limit: int,
        moved: Callable[[str], object] = lambda _: None,
        streams: tuple[int, ...] = _STREAMS,
    ) -> None:
        """`moved` is told where to write from now on, whoever else writes to the log."""
        super().__init__()
        self._path = path
        self._limit: Callable[[], int] = lambda: limit
        self._moved = moved
        self._streams = streams
        self._ours = self._writes_to(self._path) or self._was_ours()
        self.look()

    def limit_by(self, limit: Callable[[], int]) -> None:
        """From now on this says how long it may be."""
        self._limit = limit

    def look(self) -> None:
        """Begin a new log where the old one was moved or deleted: by logrotate(8), by hand, or by
        a daemon that died between the two halves of a rotation.
        """
        if self._ours and not self._writes_to(self._path):
            self._follow()

    def _was_ours(self) -> bool:
        """The daemon before wrote to it, and it was moved then; `--foreground` writes anywhere."""
        try:
            now = os.readlink(f"/proc/self/fd/{self._streams[-1]}")
        except OSError:
            return False
        return now.startswith(os.path.realpath(self._path))

    def emit(self, record: logging.LogRecord) -> None:
        # Before the line: the log always ends with what was said last.
        limit = self._limit()
        if limit and self._is_full(limit):
            self._rotate()
        super().emit(record)

    def _is_full(self, limit: int) -> bool:
        try:
            return os.fstat(self._streams[-1]).st_size >= limit
        except OSError:
            return False

    def _writes_to(self, path: str) -> bool:
        try:
            there = os.stat(path, follow_symlinks=False)
            return os.path.samestat(os.fstat(self._streams[-1]), there)
        except OSError:
            return False

    def _rotate(self) -> None:
        if not self._writes_to(self._path):
            return  # in the foreground, or sent elsewhere
        fresh = f"{self._path}.new"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh)  # of a rotation that was broken off, or no log of ours at all
            os.close(os.open(fresh, _FLAGS | os.O_EXCL, 0o600))
            for number in range(KEPT, 1, -1):
                if os.path.exists(f"{self._path}.{number - 1}"):
                    os.replace(f"{self._path}.{number - 1}", f"{self._path}.{number}")
            # By a second name, so that at no time there is no log.
            os.link(self._path, f"{self._path}.1")
            os.replace(fresh, self._path)
        except OSError:
            return  # the old file serves on; the next line tries again
        self._follow()

    def _follow(self) -> None:
        try:
            reopen(self._path, self._streams)
        except OSError:
            return
        self._moved(self._path)


def follow(path: str) -> None:
    """For the supervisor, when the daemon has changed the log under it."""
    try:
        if stat.S_ISREG(os.fstat(2).st_mode):
            reopen(path)
    except OSError:
        return


def open_log(path: str) -> int:
    """A descriptor that appends to the log, which is made if it is not there (0600).

    Where the file has a second name, this name is given to a new one: it is that of a rotation that
    was broken off, or of somebody who wants our lines elsewhere.

    Raises: OSError (PermissionError: what lies there is a link, no file, or another user's).
    """
    while True:
        try:
            descriptor = os.open(path, _FLAGS, 0o600)
        except OSError as error:
            if error.errno in _NO_FILE:
                raise _not_ours(path) from error
            raise
        found = os.fstat(descriptor)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if ours and found.st_nlink <= 1:
            return descriptor
        os.close(descriptor)
        if not ours:
            raise _not_ours(path)
        os.unlink(path)


def _not_ours(path: str) -> PermissionError:
    return PermissionError(errno.EPERM, "it is no log of yours; move it away", path)
