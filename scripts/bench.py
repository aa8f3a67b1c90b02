"""Dispatch of no-op jobs, three at a time, and the way from `submit` to a job's first instruction.

Every contender runs the same command (`true` in a shell, output into a file of its own) on the
same file system, round by round in turn, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

SLOTS: Final = 3
BIN: Final = Path(sys.executable).parent
Round = Callable[[int], float]
"""Runs that many jobs; seconds from the first one's start to the end of the last."""


def run(*command: str | Path, stdin: str | None = None, **environ: str) -> str:
    """What it prints. Raises: SystemExit (it failed; says how)."""
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))[:200]}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


# --- jobd -------------------------------------------------------------------------------------


@contextlib.contextmanager
def daemon(scratch: Path) -> Iterator[None]:
    """A daemon of its own; every commit of it is durable."""
    os.environ["JOBD_HOME"] = str(scratch / "jobd")
    run(BIN / "jobd", "start", "--workers", "0")
    try:
        yield
    finally:
        run(BIN / "jobd", "stop", "--now")


def jobctl(*words: str, stdin: str | None = None) -> str:
    return run(BIN / "jobctl", *words, stdin=stdin)


def jobs_of(*selector: str) -> list[dict[str, Any]]:
    """Those selected, or all."""
    found: list[dict[str, Any]] = json.loads(jobctl("ls", "--json", *selector))
    return found


def seen(job: dict[str, Any], key: str) -> float:
    return datetime.fromisoformat(job[key]).timestamp()


def jobd_round(count: int, walls: list[float]) -> float:
    """From the first start to the last finish, as recorded.

    `walls` also gets the time from the command that opens the slots to the end of `jobctl wait`.
    """
    jobctl("workers", "0")
    selector = jobctl("submit", "--file", "-", stdin="true\n" * count).strip()
    begun = time.perf_counter()
    jobctl("workers", str(SLOTS))
    jobctl("wait", selector)
    walls.append(time.perf_counter() - begun)
    jobs = jobs_of(selector)
    if len(jobs) != count or any(job["state"] != "completed" for job in jobs):
        sys.exit(f"not all of {selector} completed")
    seconds = max(seen(j, "finished_at") for j in jobs) - min(seen(j, "started_at") for j in jobs)
    jobctl("rm", selector)
    return seconds


def start_latency(times: int) -> dict[str, list[float]]:
    """Milliseconds from `submit`, as called and as recorded, to the job's first instruction.

    The job's clock is read by `date`, whose own start is part of the figure.
    """
    jobctl("workers", str(SLOTS))
    begun, running = [], []
    for _ in range(times):
        begun.append(time.time_ns() / 1e6)
        running.append(int(jobctl("submit", "--wait", "--", "date", "+%s%N")) / 1e6)
    jobs = sorted(jobs_of(), key=lambda job: job["id"])
    accepted = [seen(job, "submitted_at") * 1e3 for job in jobs]
    return {
        "submit called → running": [b - a for a, b in zip(begun, running, strict=True)],
        "submit accepted → running": [b - a for a, b in zip(accepted, running, strict=True)],
    }


# --- the others -------------------------------------------------------------------------------


def xargs_round(count: int, scratch: Path) -> float:
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        numbers = "".join(f"{n}\n" for n in range(count))
        line = f"exec >{out}/{{}} 2>&1; true"
        begun = time.perf_counter()
        run("xargs", f"-P{SLOTS}", "-I{}", "sh", "-c", line, stdin=numbers)
        return time.perf_counter() - begun


def spooler_round(count: int, scratch: Path) -> float:
    """Queueing is part of the figure: task-spooler starts a job when it is queued."""
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        own = {"TS_SOCKET": f"{out}/socket", "TMPDIR": out, "TS_MAXFINISHED": str(count)}
        run("tsp", "-S", str(SLOTS), **own)
        try:
            begun = time.perf_counter()
            queue = f"i=0; while [ $i -lt {count} ]; do tsp sh -c true; i=$((i + 1)); done; tsp -w"
            run("sh", "-c", queue, **own)
            return time.perf_counter() - begun
        finally:
            run("tsp", "-K", **own)
            wait_for_clients(f"TS_SOCKET={out}/socket".encode())


def wait_for_clients(entry: bytes) -> None:
    """Its clients, one a job, leave some time after their jobs: not at the next one's expense."""
    while any(entry in environ.split(b"\0") for environ in map(_environ, Path("/proc").iterdir())):
        time.sleep(0.1)


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""  # no process, or no longer one


# --- the table --------------------------------------------------------------------------------


def race(contenders: dict[str, Round], count: int, rounds: int) -> dict[str, list[float]]:
    """Jobs a second of each contender in each round."""
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, one_round in contenders.items():
            speeds[name].append(count / one_round(count))
        told = ", ".join(f"{name} {speeds[name][-1]:,.0f}" for name in contenders)
        print(f"round {number + 1} of {rounds}: {told} jobs/s", flush=True)
    return speeds


def table(speeds: dict[str, list[float]], walls: list[float], count: int) -> None:
    """The ratio is the median of each round's own, so that a slow minute counts for both."""
    rows = {**speeds, "jobd, as the client sees it": [count / wall for wall in walls]}
    print(f"\n{'median of the rounds':28}{'jobs/s':>9}{'lowest':>9}{'highest':>9}{'of xargs':>10}")
    for name, values in rows.items():
        ratio = median(mine / its for mine, its in zip(values, speeds["xargs"], strict=True))
        print(f"{name:28}{median(values):9,.0f}{min(values):9,.0f}{max(values):9,.0f}{ratio:10.2f}")


def latencies(times: int) -> None:
    print(f"\n{'start, idle, ms':28}{'median':>9}{'lowest':>9}{'highest':>9}")
    for name, values in start_latency(times).items():
        print(f"{name:28}{median(values):9.1f}{min(values):9.1f}{max(values):9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1,000 jobs a round, five rounds")
    parser.add_argument("--jobs", type=int, help="jobs a round (5,000)")
    parser.add_argument("--rounds", type=int, help="rounds (9)")
    parser.add_argument("--dir", type=Path, help="where to work; its file system counts")
    options = parser.parse_args()
    count = options.jobs or (1000 if options.quick else 5000)
    rounds = options.rounds or (5 if options.quick else 9)
    scratch = Path(tempfile.mkdtemp(prefix="jobd-bench-", dir=options.dir))
    os.environ.pop("JOBD_SOCKET", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with daemon(scratch):
            walls: list[float] = []
            contenders: dict[str, Round] = {
                "jobd": lambda n: jobd_round(n, walls),
                "xargs": lambda n: xargs_round(n, scratch),
            }
            if shutil.which("tsp"):
                contenders["task-spooler"] = lambda n: spooler_round(n, scratch)
            print(f"{count:,} no-op jobs a round, {SLOTS} at a time, in {scratch}")
            table(race(contenders, count, rounds), walls, count)
            latencies(30 if options.quick else 100)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
