"""What NVIDIA's GPUs are doing, and who has their memory: asked of `nvidia-smi`, where there is
one.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from jobd.contract.models import Gpu

_PATIENCE_S: Final = 3.0
"""Seconds that it may take; a driver that hangs keeps nobody from seeing the rest."""
_NOT_AGAIN_S: Final = 60.0
"""Seconds for which one that failed is not asked again."""
_KIB: Final = 1024
"""In the mebibytes that it tells."""

Rows = list[list[str]]


class Gpus:
    """Asked only while somebody looks. Any thread may; one at a time asks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._not_before = 0.0

    def memory_by_pid(self) -> dict[int, int] | None:
        """KiB of each process that has any; None: this machine has no such GPU, or does not say."""
        rows = self._rows("--query-compute-apps=pid,used_memory")
        if rows is None:
            return None
        found = Counter[int]()
        for pid, used in _of_length(rows, 2):
            if pid.isdecimal() and used.isdecimal():
                found[int(pid)] += int(used) * _KIB  # a process on several has a line for each
        return dict(found)

    def all(self) -> list[Gpu] | None:
        """Each of them, as nvidia-smi numbers them; None: as above."""
        rows = self._rows("--query-gpu=index,utilization.gpu,memory.used,memory.total")
        if rows is None:
            return None
        return [
            Gpu(index=int(index), load=_number(load), memory_kb=_kib(used), total_kb=_kib(total))
            for index, load, used, total in _of_length(rows, 4)
            if index.isdecimal()
        ]

    def _rows(self, query: str) -> Rows | None:
        with self._turn:
            if self._clock() < self._not_before:
                return None
            program = shutil.which("nvidia-smi")
            found = None if program is None else _ask(program, query)
            if program is not None and found is None:
                self._not_before = self._clock() + _NOT_AGAIN_S
            return found


def _ask(program: str, query: str) -> Rows | None:
    try:
        said = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    lines = said.decode("utf-8", "replace").splitlines()
    return [[word.strip() for word in line.split(",")] for line in lines]


def _of_length(rows: Rows, count: int) -> Rows:
    """Without what it says in words: `No running processes found`."""
    return [row for row in rows if len(row) == count]


def _number(word: str) -> int | None:
    """None: `[N/A]`, as of a GPU that is shared out (MIG)."""
    return int(word) if word.isascii() and word.isdecimal() else None


def _kib(word: str) -> int | None:
    number = _number(word)
    return None if number is None else number * _KIB
