"""The run table: which process belongs to which running attempt, in a small mapped file.

A slot's line is written before the spawn (the intent) and completed with the pid after it. The
page cache keeps it when the daemon is killed, so it costs no fsync; a reboot ends all processes
and changes the boot id, so then it need not be true. Spawns take turns under one lock: at most one
attempt in the run table has no pid, so even a job that began and ended while no daemon lived is
known. Whether that one began at all tells the mark, a file beside the table: it has a byte from the
intent on, and the new process empties it before it becomes the job.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final, NamedTuple

from jobd.contract.models import MAX_WORKERS
from jobd.system import heap, linux

_HEADER: Final = struct.Struct("8s56s")
_LINE: Final = struct.Struct("32sIIIIqq")
_TOKEN: Final = struct.Struct("32s")
_PID: Final = struct.Struct("I")
_REST: Final = struct.Struct("=IIIqq")
_LATEST: Final = struct.Struct("=q")
"""The parts of a line: its token, its pid, what is behind them, and the end of that."""
_LINE_BYTES: Final = 64
_MAGIC: Final = b"jobdrun1"
_NOBODY: Final = 2**32 - 1
"""A pid that no process has: its outcome is lost."""


class Line(NamedTuple):
    """What the run table says of one attempt. Pids are those of then, and may be others' by now."""

    token: str
    pid: int
    """0: the intent is written, the process may or may not be there."""
    daemon: int
    supervisor: int
    floor_kb: int
    """The peak of memory of whoever spawned it: the kernel never tells less of it (getrusage(2)).
    0: it is not known.
    """
    earliest: int
    """Ticks since boot before the spawn; the process began in between."""
    latest: int


def is_of_this_boot(path: Path) -> bool:
    """Whether the machine has run on since a daemon last used this run table."""
    try:
        with open(path, "rb") as file:
            magic, boot = _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        return False
    return bool(magic == _MAGIC and boot.rstrip(b"\0") == linux.boot_id().encode())


class RunTable:
    """The lines of one instance, one for each slot.

    Lines are written under the lock of whoever spawns. Promises that a killed daemon leaves what
    it had written, and that no line of an earlier boot is believed.
    """

    def __init__(self, path: Path) -> None:
        size = _HEADER.size + _LINE_BYTES * (MAX_WORKERS + 1)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Blocks are reserved now: a write into the map of a full disk would be a SIGBUS.
            os.posix_fallocate(descriptor, 0, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self.mark = os.open(f"{path}.mark", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._boot = linux.boot_id().encode()
        magic, boot = _HEADER.unpack_from(self._map)
        self.trusted = magic == _MAGIC and boot.rstrip(b"\0") == self._boot
        """Whether the lines are of this boot; if not, they say nothing."""
        self._cleared = False

    def clear(self) -> None:
        """Drop lines that are not of this boot; it is not trusted before `begin`."""
        if not self.trusted and not self._cleared:
            self._map[:] = bytes(len(self._map))
            self._cleared = True

    def begin(self) -> None:
        """From now on the lines are of this boot."""
        self.clear()
        _HEADER.pack_into(self._map, 0, _MAGIC, self._boot)
        self.trusted = True

    def intend(self, slot: int, token: str, supervisor: int) -> None:
        """Raises: OSError (of the mark)."""
        self.withdraw(slot)
        os.ftruncate(self.mark, 1)
        floor, ticks = heap.own_peak_kb(), linux.ticks() - 1
        self._write_numbers(slot, Line(token, 0, os.getpid(), supervisor, floor, ticks, 0))
        self._write_token(slot, token)

    def withdraw(self, slot: int) -> None:
        """There is no process, and there will be none."""
        self._write_token(slot, "")

    @property
    def begun(self) -> bool:
        """Whether the latest intent has led to a process; its pid may not be there yet."""
        return os.fstat(self.mark).st_size == 0

    def spawned(self, slot: int, pid: int) -> None:
        at = _HEADER.size + slot * _LINE_BYTES
        _LATEST.pack_into(self._map, at + _LINE.size - _LATEST.size, linux.ticks() + 1)
        _PID.pack_into(self._map, at + _TOKEN.size, pid)

    def settle(self, slot: int, token: str, pid: int | None, supervisor: int) -> None:
        """What became of an attempt: its process, or None where its outcome is lost.

        So whoever asks again, should this daemon die now, comes to the same answer.
        """
        stat = None if pid is None else linux.stat_of(pid)
        start = 0 if stat is None else stat.start
        before = self._read(slot)
        floor = before.floor_kb if before.token == token else 0
        line = Line(token, pid or _NOBODY, os.getpid(), supervisor, floor, start, start)
        if before.token != token:
            self.withdraw(slot)
        self._write_numbers(slot, line)
        self._write_token(slot, token)

    def find(self, slot: int, token: str) -> Line | None:
        """The line of an attempt; None: its intent was never written."""
        if not (self.trusted and 0 <= slot <= MAX_WORKERS):
            return None
        line = self._read(slot)
        return line if line.token == token else None

    def pids(self) -> set[int]:
        """All that stand on it: also those of attempts whose end is on disk already."""
        return {self._read(slot).pid for slot in range(MAX_WORKERS + 1)}

    def _read(self, slot: int) -> Line:
        token, *numbers = _LINE.unpack_from(self._map, _HEADER.size + slot * _LINE_BYTES)
        return Line(token.decode("ascii", "replace"), *numbers)

    # This process may be killed between any two stores: a line counts while its token stands, and
    # its pid comes last, so the next daemon reads what was true before or after, never a mixture.

    def _write_token(self, slot: int, token: str) -> None:
        _TOKEN.pack_into(self._map, _HEADER.size + slot * _LINE_BYTES, token.encode())

    def _write_numbers(self, slot: int, line: Line) -> None:
        at = _HEADER.size + slot * _LINE_BYTES + _TOKEN.size
        _REST.pack_into(self._map, at + _PID.size, *line[2:])
        _PID.pack_into(self._map, at, line.pid)

    def close(self) -> None:
        os.close(self.mark)
        self._map.close()
