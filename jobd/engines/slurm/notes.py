"""Which number Slurm has given to which attempt: on this disk before it may begin to run."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from jobd.contract.directories import Directory, File


class Notes:
    """A file for each attempt that Slurm has. Any thread may call."""

    def __init__(self, data: Path) -> None:
        self._directory = Directory(data / "slurm-jobs")

    def write(self, token: str, number: int) -> None:
        """Raises: OSError (it is not on the disk)."""
        _write(self._directory.file(token), b"%d" % number)

    def all(self) -> dict[str, int]:
        """Raises: OSError."""
        try:
            tokens = self._directory.names()
        except FileNotFoundError:
            return {}
        found = {token: self._read(token) for token in tokens}
        return {token: number for token, number in found.items() if number is not None}

    def forget(self, token: str) -> None:
        with suppress(OSError):
            self._directory.file(token).unlink()

    def release(self) -> None:
        self._directory.release()

    def _read(self, token: str) -> int | None:
        """None: a crash has left it empty; what it stands for has not begun."""
        with open(self._directory.file(token).open(os.O_RDONLY), "rb") as file:
            text = file.read()
        return int(text) if text.isdigit() else None


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
