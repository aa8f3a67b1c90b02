"""The folder of an attempt in the shared directory: what starts it, and how it ended."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Final, NamedTuple

from jobd.contract.directories import Directory, File
from jobd.engines.base import Launch
from jobd.engines.local.spawn import write_program
from jobd.engines.slurm import script
from jobd.engines.slurm.script import Place

_MOST: Final = 100_000
"""Bytes that are read of an end."""
_TIMES: Final = re.compile(rb"(\d+)m([\d.,]+)s")


class End(NamedTuple):
    """What the script of an attempt has written at its end."""

    code: int | None
    """As the shell has it: 128 and the number of a signal, or an exit code."""
    signalled: bool = False
    """The shell says that it was a signal."""
    cannot: str | None = None
    """Why the command could not be started."""
    size: int = 0
    """Of its output, in bytes."""
    at: int | None = None
    """When it was, microseconds since the epoch, by the node's clock."""
    cpu_s: float | None = None


class AttemptFiles:
    """Any thread may call; one on a dead file server holds whoever does. All raise OSError."""

    def __init__(self, shared: str) -> None:
        self._all = Directory(f"{shared}/attempts")

    def write(self, launch: Launch, output: str) -> Place:
        """All that a node needs is there: its script, and what starts it."""
        folder = Directory(f"{self._all.path}/{launch.token}")
        program = None
        if launch.script is not None:
            # Named like the file that it was, since errors of the shell begin with it. Not beside
            # others: the next attempt may begin before this one is tidied up.
            name = f"{launch.job}.{os.fsdecode(os.path.basename(launch.argv[0])[:100])}"
            program = os.fsencode(write_program(folder.file(name), launch.script).path)
        place = Place(os.fsencode(folder.path), os.fsencode(output), program)
        with open(folder.file("start").make(os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(script.start_script(launch, place))
        return place

    def has_begun(self, token: str) -> bool:
        """Whether the command was to be started on a node."""
        try:
            self._file(token, "begun").look()
        except FileNotFoundError:
            return False
        return True

    def end(self, token: str) -> End | None:
        """None: it has written none, or that is not seen here yet."""
        try:
            with open(self._file(token, "end").open(os.O_RDONLY), "rb") as file:
                return read(file.read(_MOST))
        except FileNotFoundError:
            return None

    def delete(self, token: str) -> None:
        """It is not needed any more. What cannot be deleted stays."""
        folder = Directory(f"{self._all.path}/{token}")
        with suppress(OSError):
            where = folder.now()
            for name in folder.names():
                with suppress(IsADirectoryError):
                    os.unlink(name, dir_fd=where.descriptor)
            with suppress(FileNotFoundError):
                os.rmdir("begun", dir_fd=where.descriptor)
            os.rmdir(token, dir_fd=self._all.now().descriptor)

    def tokens(self) -> list[str]:
        """All that have a folder."""
        try:
            return self._all.names()
        except FileNotFoundError:
            return []

    def release(self) -> None:
        self._all.release()

    def _file(self, token: str, name: str) -> File:
        """Looked for anew each time: what a node made is to be seen, not what was there before."""
        return Directory(f"{self._all.path}/{token}").file(name)


def read(text: bytes) -> End | None:
    """None: it is not whole."""
    head, found, cannot = text.partition(b"\n" + script.CANNOT)
    if not found and text.startswith(script.CANNOT):
        head, found, cannot = b"", script.CANNOT, text.removeprefix(script.CANNOT)
    parts = [line.partition(b" ") for line in head.split(b"\n")]
    lines = {key: rest for key, _, rest in parts}
    at, size = _at(lines.get(b"at", b"")), _whole(lines.get(b"size", b""))
    if found:
        why = cannot.removesuffix(b"\n").decode("utf-8", "replace")
        return End(None, cannot=why, at=at, size=size)
    code, _, signal = lines.get(script.CODE.strip(), b"").partition(b" ")
    if not code.isdigit():
        return None
    return End(int(code), bool(signal.strip()), None, size, at, _cpu(head))


def _at(text: bytes) -> int | None:
    """From `date +%s.%N`; a date(1) that knows no %N gives whole seconds."""
    match = re.match(rb"(\d+)(?:\.(\d{1,6}))?", text)
    if match is None:
        return None
    return int(match[1]) * 1_000_000 + int((match[2] or b"").ljust(6, b"0"))


def _whole(text: bytes) -> int:
    return int(text) if text.strip().isdigit() else 0


def _cpu(text: bytes) -> float | None:
    """Of the shell's children: the second line of `times`, user and system."""
    times = [int(m) * 60 + float(s.replace(b",", b".")) for m, s in _TIMES.findall(text)]
    return sum(times[2:4]) if len(times) >= 4 else None
