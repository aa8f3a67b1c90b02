"""What NVIDIA's GPUs are doing, and who has their memory: asked of `nvidia-smi`, where there is
one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from jobd.contract.models import Gpu
from jobd.system.probe import Probe

_KIB: Final = 1024
"""In the mebibytes that it tells."""

Rows = list[list[str]]


class Gpus:
    """Asked only while somebody looks; any thread may. Promises an answer within 3 s.

    There are two questions, and a driver that refuses one of them answers the other.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._processes, self._devices = (
            Probe("nvidia-smi", query, "--format=csv,noheader,nounits", clock=clock)
            for query in (
                "--query-compute-apps=pid,used_memory",
                "--query-gpu=index,utilization.gpu,memory.used,memory.total",
            )
        )

    def memory_by_pid(self) -> dict[int, int] | None:
        """KiB of each process that has any; None: this machine has no such GPU, or does not say."""
        said = self._processes.said()
        if said is None:
            return None
        found = Counter[int]()
        for pid, used in _rows(said, 2):
            if pid.isdecimal() and used.isdecimal():
                found[int(pid)] += int(used) * _KIB  # a process on several has a line for each
        return dict(found)

    def all(self) -> list[Gpu] | None:
        """Each of them, as nvidia-smi numbers them; None: as above."""
        said = self._devices.said()
        if said is None:
            return None
        return [
            Gpu(index=int(index), load=_number(load), memory_kb=_kib(used), total_kb=_kib(total))
            for index, load, used, total in _rows(said, 4)
            if index.isdecimal()
        ]

    def end(self) -> None:
        """Nobody is asked from now on, and who was is killed. At once."""
        for probe in (self._processes, self._devices):
            probe.end()

    def close(self) -> None:
        """As `end`, and no thread is left, unless the driver hangs."""
        self.end()
        for probe in (self._processes, self._devices):
            probe.close()


def _rows(said: bytes, count: int) -> Rows:
    """Those of so many columns: it says in words, too (`No running processes found`)."""
    lines = said.decode("utf-8", "replace").splitlines()
    rows = ([word.strip() for word in line.split(",")] for line in lines)
    return [row for row in rows if len(row) == count]


def _number(word: str) -> int | None:
    """None: `[N/A]`, as of a GPU that is shared out (MIG)."""
    return int(word) if word.isascii() and word.isdecimal() else None


def _kib(word: str) -> int | None:
    number = _number(word)
    return None if number is None else number * _KIB
