"""What comes in by the hundred thousand, and whoever submits a single job meanwhile."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Final

from jobd.client.client import Client
from jobd.contract.models import Options
from scripts.benchmarks import floor
from scripts.benchmarks.bench import Bench, Measured, Scenario
from scripts.benchmarks.figures import Failed, Figure, at_most, of_rounds
from scripts.benchmarks.instance import BIN, NO_OP, Instance

_PAUSE_S: Final = 0.002
"""Between two submissions, so that they are no load of their own."""
_A_MILLION: Final = 1_000_000
_SECONDS_A_MILLION: Final = 30.0
"""Within which a million lines are to be in the queue, and fewer within as much less."""


def _enqueue(bench: Bench) -> Measured:
    """Through one `submit --file -`, beside what SQLite needs for the same rows."""
    a_line: list[float] = []
    for count in bench.sizes.lines:
        lines = bench.scratch / f"{count}-lines"
        lines.write_bytes(b"true\n" * count)
        seconds, times = [], []
        for number in range(min(3, bench.sizes.rounds)):
            bench.say(f"{count:,} lines, round {number + 1}")
            took, bare = _enqueue_round(bench, lines)
            seconds.append(took)
            times.append(took / bare)
        lines.unlink()
        limit = at_most(max(_SECONDS_A_MILLION * count / _A_MILLION, 0.5))
        yield of_rounds(f"{count:,} lines", seconds, "s", target=limit)
        yield of_rounds(f"{count:,} lines", times, "times bare SQLite inserts", target=at_most(2.0))
        a_line.append(median(seconds) / count)
    small, large = bench.sizes.lines
    yield Figure(
        what=f"a line of {large:,}",
        value=a_line[1] / a_line[0],
        unit=f"times one of {small:,}",
        target=at_most(1.2),
    )


def _enqueue_round(bench: Bench, lines: Path) -> tuple[float, float]:
    """Seconds of ours and of bare SQLite."""
    with bench.instance() as instance:
        took = instance.timed("submit", "--file", "-", stdin=lines)
        if took.code:
            raise Failed(f"submit --file -: exit code {took.code}")
        copy = bench.directory()
        bare = floor.insert_seconds(instance.paths.database, copy)
        copy.unlink()
    return took.wall, bare


def _no_long_lock(bench: Bench) -> Measured:
    """The longest time that a single submission takes while all jobs are changed."""
    count = bench.sizes.store
    lines = bench.scratch / "lines"
    lines.write_bytes(b"true\n" * count)
    with bench.instance() as instance, instance.client() as client:
        for verb, words in (
            ("a batch comes in", ("submit", "--file", str(lines))),
            ("edit of all", ("edit", "--all", "--priority", "5")),
            ("stop of all", ("stop", "--all")),
            ("restart of all", ("restart", "--all")),
            ("stop of all once more", ("stop", "--all")),
            ("rm of all", ("rm", "--state", "stopped")),
        ):
            bench.say(f"{verb}: {count:,} jobs")
            waits, code, seconds = _submitted_during(instance, client, words)
            if code:
                bench.note(f"not possible: jobctl {' '.join(words)} (exit code {code})")
            else:
                what = f"{verb} ({count:,} in {seconds:.1f} s)"
                yield Figure(
                    what=what,
                    value=max(waits),
                    low=min(waits),
                    high=max(waits),
                    unit="ms, the longest",
                    target=at_most(100),
                )
    lines.unlink()


def _submitted_during(
    instance: Instance, client: Client, words: tuple[str, ...]
) -> tuple[list[float], int, float]:
    """Milliseconds of each submission until a command has ended; its exit code, its seconds."""
    request = instance.request([NO_OP], Options(name="single"))
    waits: list[float] = []
    started = time.perf_counter()
    process: subprocess.Popen[bytes] = instance.begin(BIN / "jobctl", *words)
    while process.poll() is None:
        begun = time.perf_counter()
        client.submit(request)
        waits.append(1000 * (time.perf_counter() - begun))
        time.sleep(_PAUSE_S)
    return waits, process.returncode, time.perf_counter() - started


ENQUEUE: Final = Scenario("enqueue", "lines through one `submit --file -`", _enqueue)
NO_LONG_LOCK: Final = Scenario(
    "no-long-lock", "the longest wait of one submit while all jobs come in or change", _no_long_lock
)
