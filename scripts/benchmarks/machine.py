"""Where and when the figures were taken: they mean nothing without."""

from __future__ import annotations

import os
import platform
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from jobd.contract.version import VERSION


class Machine(NamedTuple):
    """In words, as a reader needs it."""

    date: str
    version: str
    cpu: str
    cores: int
    load: float
    """Processes that wanted to run in the minute before."""
    kernel: str
    python: str
    file_system: str

    def line(self) -> str:
        return (
            f"{self.date}, jobd {self.version}, {self.cpu} ({self.cores} cores, load"
            f" {self.load:.1f}), Linux {self.kernel}, Python {self.python}, {self.file_system}"
        )


def this_machine(directory: Path) -> Machine:
    """`directory`: where the daemons keep what they store."""
    return Machine(
        date=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        version=VERSION,
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
        kernel=platform.release(),
        python=platform.python_version(),
        file_system=_file_system(directory),
    )


def _cpu() -> str:
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        rows = (line.partition(":") for line in file)
        named = (value.strip() for key, _, value in rows if key.strip() == "model name")
        return next(named, platform.machine())


def _file_system(directory: Path) -> str:
    """Its kind: that of the deepest place at which something is mounted above the directory."""
    found = "", "unknown"
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
        for line in file:
            _, place, kind, *_ = line.split()
            if directory.resolve().is_relative_to(place) and len(place) >= len(found[0]):
                found = place, kind
    return found[1]
