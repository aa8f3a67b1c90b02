"""How much memory of NVIDIA's GPUs processes have: asked of `nvidia-smi`, where there is one."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

_PATIENCE_S: Final = 3.0
"""Seconds that it may take; a driver that hangs keeps nobody from seeing the rest."""
_NOT_AGAIN_S: Final = 60.0
"""Seconds for which one that failed is not asked again."""
_KIB: Final = 1024
"""In the mebibytes that it tells."""


class GpuMemory:
    """Asked only while somebody looks at what jobs use. Any thread may."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._not_before = 0.0

    def by_pid(self) -> dict[int, int] | None:
        """KiB of each process that has any; None: this machine has no such GPU, or does not say."""
        with self._turn:
            if self._clock() < self._not_before:
                return None
            program = shutil.which("nvidia-smi")
            found = None if program is None else _ask(program)
            if program is not None and found is None:
                self._not_before = self._clock() + _NOT_AGAIN_S
            return found


def _ask(program: str) -> dict[int, int] | None:
    try:
        said = subprocess.run(
            [program, "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    found = Counter[int]()
    for line in said.decode("utf-8", "replace").splitlines():
        pid, _, used = (word.strip() for word in line.partition(","))
        if pid.isdecimal() and used.isdecimal():
            found[int(pid)] += int(used) * _KIB  # a process on several has a line for each
    return dict(found)
