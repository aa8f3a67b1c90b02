"""On which boot of the machine an instance was used last, whatever engines its jobs run on: a file
beside its database says so.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from jobd.contract.directories import Directory
from jobd.contract.paths import Paths
from jobd.system import linux

_NAME: Final = "jobd.boot"
_MOST: Final = 100
"""Bytes that are read of it."""


def ran_since_boot(paths: Paths) -> bool | None:
    """Whether the machine has run on since a daemon last used the instance; None: none has noted
    that here.
    """
    try:
        with open(Directory(paths.data).file(_NAME).open(os.O_RDONLY), "rb") as file:
            noted = file.read(_MOST)
    except OSError:
        return None
    return noted == _now()


def note_boot(paths: Paths) -> None:
    """From now on it is used on this one. Once a boot that is brought to the disk; where it cannot
    be, what was noted before stands, and says that the machine was booted since.
    """
    if ran_since_boot(paths):
        return
    directory = Directory(paths.data)
    file = directory.file(f"{_NAME}.new")
    with suppress(OSError):
        with open(file.make(os.O_WRONLY | os.O_TRUNC), "wb") as fresh:
            fresh.write(_now())
            fresh.flush()
            os.fsync(fresh.fileno())
        file.replace(_NAME)
        directory.sync()


def _now() -> bytes:
    return linux.boot_id().encode()
