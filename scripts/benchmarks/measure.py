"""Clocks, CPU time, memory and wake-ups of processes, as Linux counts them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds; the unit of CPU times in /proc/PID/stat."""


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU time, user and system together."""

    own: float
    """Of the process itself."""
    children: float
    """Of those that it has waited for."""


def cpu_of(pid: int) -> Cpu:
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    user, system, child_user, child_system = stat.rpartition(")")[2].split()[11:15]
    return Cpu((int(user) + int(system)) * TICK, (int(child_user) + int(child_system)) * TICK)


def resident_kb(pid: int) -> int:
    """What the process occupies of the machine's memory, files that it maps included."""
    return _status(Path(f"/proc/{pid}/status"), "VmRSS")


def wakeups(*pids: int) -> int:
    """How often any thread of these processes was put to sleep or pushed aside so far."""
    return sum(
        _status(status, "voluntary_ctxt_switches") + _status(status, "nonvoluntary_ctxt_switches")
        for pid in pids
        for status in Path(f"/proc/{pid}/task").glob("*/status")
    )


def are_running(*pids: int) -> bool:
    """Whether any thread of these processes runs, or would if it had a processor."""
    return any(
        stat.read_text("utf-8", errors="replace").rpartition(")")[2].split()[0] == "R"
        for pid in pids
        for stat in Path(f"/proc/{pid}/task").glob("*/stat")
    )


def _status(file: Path, key: str) -> int:
    rows = (line.partition(":") for line in file.read_text("utf-8").splitlines())
    return next(int(value.split()[0]) for name, _, value in rows if name == key)


@dataclass(frozen=True)
class Took:
    """What a command took: seconds by the clock, seconds of CPU, its largest resident size."""

    wall: float
    cpu: float
    peak_kb: int
    code: int


def timed(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    stdin: BinaryIO | int = subprocess.DEVNULL,
    stdout: BinaryIO | int = subprocess.DEVNULL,
) -> Took:
    """Run a command to its end, and see what it and all that it waits for take."""
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env=env, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return Took(wall, cpu, usage.ru_maxrss, process.returncode)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    place = -(-len(ordered) * percent // 100)
    return ordered[max(0, min(len(ordered), int(place)) - 1)]


@contextlib.contextmanager
def cores_loaded() -> Iterator[None]:
    """As many processes as there are cores that do nothing but occupy them."""
    loop = ["sh", "-c", "while :; do :; done"]
    with contextlib.ExitStack() as stack:
        for _ in os.sched_getaffinity(0):
            process = stack.enter_context(subprocess.Popen(loop))
            stack.callback(process.kill)
        yield
