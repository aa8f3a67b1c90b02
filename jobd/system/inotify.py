"""What the kernel tells of files that change (inotify(7)): Python's library does not offer it."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final, NamedTuple

from jobd.system.linux import checked

_libc: Final = ctypes.CDLL(None, use_errno=True)
MODIFY: Final = 0x02
ATTRIB: Final = 0x04
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
DELETE: Final = 0x200
DELETE_SELF: Final = 0x400
MOVE_SELF: Final = 0x800
"""IN_MODIFY and so on, of <sys/inotify.h>."""
OVERFLOW: Final = -1
"""In the place of a watch's number: more has happened than the kernel could keep."""


class Change(NamedTuple):
    """Something that has happened to what is watched."""

    number: int
    """As `add` gave it."""
    mask: int
    name: bytes
    """Of the entry, where a directory is watched."""


class Inotify:
    """An instance of inotify(7). `add` and `remove` may be called by any thread, `read` by one."""

    def __init__(self) -> None:
        """Raises: OSError (also where the user has as many as the kernel gives)."""
        self.descriptor = checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def add(self, path: bytes, mask: int) -> int:
        """The number of the watch of a file or directory, the same one for the same file.

        Raises: OSError (it cannot be read, or the user has no watch left).
        """
        return checked(_libc.inotify_add_watch(self.descriptor, path, mask))

    def remove(self, number: int) -> None:
        """Raises: OSError (there is no such watch any more, as when its file was deleted)."""
        checked(_libc.inotify_rm_watch(self.descriptor, number))

    def read(self) -> list[Change]:
        """What has happened since; nothing where `descriptor` is not readable."""
        try:
            content = os.read(self.descriptor, 65536)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(content):
            number, mask, _, length = struct.unpack_from("iIII", content, at)
            name = content[at + 16 : at + 16 + length].rstrip(b"\0")
            found.append(Change(number, mask, name))
            at += 16 + length
        return found

    def close(self) -> None:
        os.close(self.descriptor)
