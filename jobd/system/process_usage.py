"""What a process uses while it lives, as proc(5) tells it. Standard library only."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from jobd.system.linux import TICKS

_MEMORY: Final = re.compile(rb"(VmHWM|VmRSS):\s*(\d+)")
"""Of proc_pid_status(5), KiB."""


class Used(NamedTuple):
    """What a process, and the children that it has waited for, used; KiB."""

    cpu_s: float
    max_rss_kb: int | None
    """Its own alone, since its latest exec. None: it has ended."""
    rss_kb: int | None
    """Its own alone, now."""


def usage_of(pid: int) -> Used | None:
    """Up to now; None: it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read(1024).rpartition(b") ")[2].split()
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
            memory = dict(_MEMORY.findall(file.read(4096)))
    except OSError:
        return None
    if len(fields) < 15:
        return None  # it went while it was looked at
    peak, now = (memory.get(name) for name in (b"VmHWM", b"VmRSS"))
    return Used(
        sum(int(ticks) for ticks in fields[11:15]) / TICKS,
        None if peak is None else int(peak),
        None if now is None else int(now),
    )
