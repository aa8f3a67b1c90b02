"""Files in directories of ours, reached by descriptors: what somebody else makes under the name of
a directory that was deleted is not entered.

A path says only where a directory was. A cleaner of /tmp may take it away, and then anybody may put
another one, or a link, in its place. So a directory is opened once, when its whole way has been
checked, and held open; its files are opened, made and deleted relative to that (openat(2)).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from jobd.contract.ownership import (
    NotOurs,
    login,
    make_directory,
    open_below,
    open_owned,
    others_can_write,
    sync_directory,
)

_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW
T = TypeVar("T")


class Foreign(PermissionError):  # noqa: N818 - named like the reason
    """What is there is not ours alone; nothing was read, made or changed. `strerror` says whose."""


class Opened:
    """An O_PATH descriptor of a directory; closed once nobody uses it any more.

    While it is open, no other directory gets its inode number.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._found = found = os.fstat(descriptor)
        self._as_found = _identity(found)

    def __del__(self) -> None:
        os.close(self.descriptor)

    def is_this(self, found: os.stat_result) -> bool:
        return os.path.samestat(self._found, found)

    def is_unchanged(self, found: os.stat_result) -> bool:
        """Whether that is this directory, and nobody has been given more or less rights in it."""
        return self._as_found == _identity(found)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    """Which directory it is, and who has which rights in it."""
    return found.st_ino, found.st_dev, found.st_mode, found.st_uid, found.st_gid


class Directory:
    """Any thread may ask; one on a dead file server holds whoever does."""

    def __init__(self, path: Path | str, parent: Directory | None = None) -> None:
        """`parent`: what it lies in, if that is one of ours, too; as by `below`."""
        self.path = str(path)
        self._parent = parent
        self._opened: Opened | None = None

    def below(self, name: str) -> Directory:
        """One in this one, reached by what is open of it: its way is not walked once more."""
        return Directory(f"{self.path}/{name}", self)

    def file(self, name: str) -> File:
        return File(self, name)

    def is_there(self) -> bool:
        """Whether its path leads to what was opened last."""
        found = self._found()
        return found is not None and self._opened is not None and self._opened.is_this(found)

    def now(self, *, make: bool = False) -> Opened:
        """What its path leads to by now: one look where that is what is open already.

        `make`: where it is not there, it is made: 0700 from its first moment, whatever the umask.

        Raises: Foreign (others can change it, or the way to it), OSError.
        """
        opened = self._opened
        found = self._found() if opened else None
        if opened and found and opened.is_unchanged(found):
            return opened
        self._opened = opened = Opened(self._open(make=make))
        return opened

    def last(self) -> Opened:
        """What was opened last, without a look. Raises: as `now`."""
        return self._opened or self.now()

    def release(self) -> None:
        """Hold it open no longer; whoever asks next walks all of its way again."""
        self._opened = None

    def sync(self) -> None:
        """Bring the names in what was opened last to the disk. Raises: as `now`."""
        opened = self.last()
        sync_directory(opened.descriptor)

    def names(self) -> list[str]:
        """Raises: as `now`."""
        opened = self.now()
        return os.listdir(f"/proc/self/fd/{opened.descriptor}")

    def _found(self) -> os.stat_result | None:
        try:
            return os.stat(self.path)
        except OSError:
            return None

    def _open(self, *, make: bool) -> int:
        try:
            if self._parent is not None:
                # Kept here, and open, until it is done: another thread may release it.
                parent, name = self._parent.now(make=make), os.path.basename(self.path)
                descriptor = open_below(parent.descriptor, name, self.path, make=make)
            elif make:
                descriptor = make_directory(Path(self.path))
            else:
                descriptor = open_owned(Path(self.path), os.O_PATH | os.O_DIRECTORY)
            try:
                self._refuse_others(os.fstat(descriptor))
            except BaseException:
                os.close(descriptor)
                raise
        except NotOurs as error:
            said = error.message.removeprefix("not permitted: ")
            raise Foreign(errno.EPERM, said, self.path) from error
        return descriptor

    def _refuse_others(self, found: os.stat_result) -> None:
        """The way to it may be root's and sticky; it is to be ours. Raises: NotOurs."""
        if found.st_uid != os.geteuid():
            raise NotOurs(f"{self.path} belongs to user {login(found.st_uid)}", found.st_uid)
        if others_can_write(found):
            raise NotOurs(f"other users can write {self.path}; chmod go-w {self.path}")


class File(NamedTuple):
    """A file of ours in a directory of ours, whether it is there or not."""

    directory: Directory
    name: str

    @property
    def path(self) -> str:
        """For people, and for a job: nothing of ours is opened by it."""
        return f"{self.directory.path}/{self.name}"

    def beside(self, name: str) -> File:
        return File(self.directory, name)

    def open(self, flags: int) -> int:
        """A descriptor of what is there already.

        `flags`: as for open(2); close-on-exec, not following links and not waiting for a FIFO go
        without saying.

        Raises: Foreign (it is no file, or another's), OSError (ELOOP: it is a link).
        """
        flags |= _FLAGS | os.O_NONBLOCK
        return self._ours(self._within(lambda where: os.open(self.name, flags, dir_fd=where)))

    def make(self, flags: int, mode: int = 0o600) -> int:
        """A descriptor of it, made where it is not there, as is its directory; else as `open`."""
        # Kept here, and open, until it is done: another thread may release the directory.
        opened = self.directory.now(make=True)
        flags |= _FLAGS | os.O_CREAT
        with suppress(FileExistsError):
            return os.open(self.name, flags | os.O_EXCL, mode, dir_fd=opened.descriptor)
        return self._ours(os.open(self.name, flags, mode, dir_fd=opened.descriptor))

    def look(self) -> os.stat_result:
        """Of a link it is the link's own. Raises: Foreign (its directory is), OSError."""
        return self._within(lambda where: os.stat(self.name, dir_fd=where, follow_symlinks=False))

    def unlink(self) -> None:
        """Raises: as `look`."""
        self._within(lambda where: os.unlink(self.name, dir_fd=where))

    def take_back(self) -> None:
        """Unlink what we have made, where we have made it, without a look at the path.

        Raises: OSError.
        """
        opened = self.directory.last()
        os.unlink(self.name, dir_fd=opened.descriptor)

    def replace(self, name: str) -> None:
        """Give it another name, taking that from what has it. Raises: OSError."""
        opened = self.directory.last()
        os.replace(self.name, name, src_dir_fd=opened.descriptor, dst_dir_fd=opened.descriptor)

    def _within(self, act: Callable[[int], T]) -> T:
        """In what was opened last; only where it is not there is it looked for by the path."""
        last = self.directory.last()
        try:
            return act(last.descriptor)
        except FileNotFoundError:
            now = self.directory.now()
            if now is last:
                raise
            return act(now.descriptor)

    def _ours(self, descriptor: int) -> int:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            return descriptor
        os.close(descriptor)
        raise Foreign(errno.ENXIO, "is no file of yours", self.path)
