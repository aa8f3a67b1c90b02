"""Which number Slurm has given to which attempt: on this disk before it may begin to run."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from jobd.contract.directories import Directory, File

_NOTE: Final = re.compile(r"(\d+)(?: (\S+) (\d+))?")


class Note(NamedTuple):
    """Where an attempt is in Slurm."""

    number: int
    name: str = ""
    """Of the allocation that it shares with others; empty: it has one of its own."""
    turn: int = 1
    """Which one it is in that."""
    written: float | None = None
    """When this was on the disk, seconds since the epoch by this machine's clock: it may begin only
    then. None: it is not.
    """


class Notes:
    """A file for each attempt that Slurm has. Any thread may call."""

    def __init__(self, data: Path) -> None:
        self._directory = Directory(data / "slurm-jobs")

    def write(self, token: str, note: Note) -> None:
        """Raises: OSError (it is not on the disk)."""
        shared = f" {note.name} {note.turn}" if note.name else ""
        _write(self._directory.file(token), f"{note.number}{shared}".encode("ascii"))

    def all(self) -> dict[str, Note]:
        """Raises: OSError."""
        try:
            tokens = self._directory.names()
        except FileNotFoundError:
            return {}
        found = {token: self._read(token) for token in tokens}
        return {token: note for token, note in found.items() if note is not None}

    def forget(self, token: str) -> None:
        with suppress(OSError):
            self._directory.file(token).unlink()

    def release(self) -> None:
        self._directory.release()

    def _read(self, token: str) -> Note | None:
        """None: a crash has left it empty; what it stands for has not begun."""
        with open(self._directory.file(token).open(os.O_RDONLY), "rb") as file:
            match = _NOTE.fullmatch(file.read().decode("ascii", "replace"))
            written = os.fstat(file.fileno()).st_mtime
        if match is None:
            return None
        return Note(int(match[1]), match[2] or "", int(match[3] or 1), written)


def instance_of(data: Path) -> str:
    """By this a cluster tells the jobs of this instance from others of its user; made once.

    Raises: OSError.
    """
    if (known := known_instance(data)) is not None:
        return known
    made = secrets.token_hex(4)
    _write(Directory(data).file("slurm-instance"), made.encode())
    return made


def known_instance(data: Path) -> str | None:
    """As `instance_of`; None: no daemon has had this engine here yet. Raises: OSError."""
    try:
        descriptor = Directory(data).file("slurm-instance").open(os.O_RDONLY)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as found:
        return found.read().decode("ascii")


def _write(file: File, text: bytes) -> None:
    with open(file.make(os.O_WRONLY | os.O_TRUNC), "wb") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    file.directory.sync()
