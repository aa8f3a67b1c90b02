"""A socket that clients come in by: where it may lie, how it is made, and how it is taken away.

Whoever can change its directory could put another file in its place, or another socket. So every
directory on the way has to be ours or root's, and closed to the writing of others (or sticky, such
as /tmp: there they may be quicker, but cannot take away what is ours). What is done then is done
relative to an open descriptor of the directory, and the mode is set by one of the socket's file.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError
from jobd.contract.ownership import login, open_owned
from jobd.contract.paths import ShortAddress, identity

_PRIVATE: Final = 0o600
_BACKLOG: Final = 256


class Listener(socket.socket):
    """Listens at a path where nothing lies yet."""

    def __init__(self, path: Path, mode: int) -> None:
        """`mode`: of its file, which is never open to more than that.

        Raises: NotOurs (others can change the way to it), JobdError, OSError.
        """
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = path
        try:
            with _directory_of(path) as directory:
                self._file = self._bind(directory, mode)
            self.listen(_BACKLOG)
        except BaseException:
            self.close()
            raise
        self.setblocking(False)  # noqa: FBT003

    def _bind(self, directory: int, mode: int) -> tuple[int, int]:
        """Which file it then is."""
        # Linux gives the file the mode of the unbound socket, less the umask: whatever that is, it
        # is open to nobody else at first. Should another kernel refuse, the daemon's umask does it.
        with suppress(OSError):
            os.fchmod(self.fileno(), _PRIVATE)
        # By its path, so that ss(8) shows that; a checked way leads nowhere else.
        with ShortAddress(self.path) as address:
            self.bind(address)
        file = os.open(self.path.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            found = os.fstat(file)
            if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
                raise JobdError(f"something else was put in the place of the socket {self.path}")
            if stat.S_IMODE(found.st_mode) != mode:
                os.chmod(f"/proc/self/fd/{file}", mode)
        finally:
            os.close(file)
        return found.st_dev, found.st_ino

    def is_at(self, path: Path) -> bool:
        """Whether it is still what its path leads to."""
        return self._file == identity(path)

    def remove(self) -> None:
        """Take its file away, if it still lies there: in a directory that was deleted and made anew
        the socket is another daemon's.
        """
        with suppress(OSError, JobdError), _directory_of(self.path) as directory:
            found = os.stat(self.path.name, dir_fd=directory, follow_symlinks=False)
            if (found.st_dev, found.st_ino) == self._file:
                os.unlink(self.path.name, dir_fd=directory)


def make_room(path: Path, key: str = "[access] socket") -> None:
    """For a socket that the configuration names: what an earlier daemon of ours left there goes,
    nothing else. `key`: where it is named.

    Raises: JobdError (something else lies there, somebody listens there, others can change the way
    to it, or it cannot be made).
    """
    try:
        with _directory_of(path) as directory:
            _clear(path, directory)
    except JobdError as error:
        said = error.message.removeprefix("not permitted: ")
        raise JobdError(f"{key} = {str(path)!r}: {said}") from error
    except OSError as error:
        raise JobdError(f"{key} = {str(path)!r}: {error.strerror}") from error


def _clear(path: Path, directory: int) -> None:
    """Raises: JobdError, OSError."""
    try:
        found = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise JobdError("something else lies there; name another path")
    if found.st_uid != os.geteuid():
        raise JobdError(f"a socket of user {login(found.st_uid)} lies there; name another path")
    if _listens(path):
        raise JobdError("somebody listens there already; name another path")
    os.unlink(path.name, dir_fd=directory)


def _listens(path: Path) -> bool:
    """Asked without waiting: who has stopped accepting listens, too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, ShortAddress(path) as address:
        probe.setblocking(False)  # noqa: FBT003
        return probe.connect_ex(address) in (0, errno.EAGAIN)


@contextmanager
def _directory_of(path: Path) -> Iterator[int]:
    """An O_PATH descriptor of it. Raises: JobdError (there is none), NotOurs, OSError."""
    try:
        directory = open_owned(path.parent, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        raise JobdError(f"there is no directory {path.parent}") from None
    try:
        yield directory
    finally:
        os.close(directory)
