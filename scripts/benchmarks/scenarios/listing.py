"""Long lists, and what they cost whoever else uses the daemon."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from scripts.benchmarks import floor
from scripts.benchmarks.bench import HIGH, Bench, Measured, Scenario
from scripts.benchmarks.contest import Round, our_round, ratios, rounds_of
from scripts.benchmarks.figures import Failed, Figure, at_least, at_most, of_rounds
from scripts.benchmarks.instance import BIN, Instance
from scripts.benchmarks.measure import Took, resident_kb
from scripts.benchmarks.sizes import SLOTS

_ROWS_A_SECOND: Final = 100_000.0
_TIMES_THE_FLOOR: Final = 3.0
"""What is reached by who needs no more than so many times what SQLite and json alone do."""
_IDS_S: Final = 2.0
"""Within which the ids of all jobs are to be there."""
_FLAT_MB: Final = 10.0
"""What may come and go whatever is listed."""
_ALL_FAILED: Final = 1
"""The exit code of a `wait` for jobs that have failed."""


def _listing(bench: Bench) -> Measured:
    with bench.filled() as instance:
        daemon, _ = instance.pids
        before, least = resident_kb(daemon), _run(instance, "ls", "-n", "1").peak_kb
        peaks: list[int] = []
        for line, code in (
            ("ls --ids", 0),
            ("ls --state failed --ids", 0),
            ("wait --state failed", _ALL_FAILED),
        ):
            bench.say(line)
            took = _run(instance, *line.split(), code=code)
            peaks.append(took.peak_kb)
            yield Figure(what=line, value=took.wall, unit="s", target=at_most(_IDS_S))
        for line, table in (
            ("ls --format ndjson", "jobs"),
            ("ls", "jobs"),
            ("events", "events"),
        ):
            bench.say(line)
            took, figure = _rows(bench, instance, line, table)
            peaks.append(took.peak_kb)
            yield figure
        yield _flat("client", max(peaks) - least)
        yield _flat("daemon", resident_kb(daemon) - before)
        yield _dispatch_beside(bench, instance)


def _run(instance: Instance, *words: str, code: int = 0) -> Took:
    took = instance.timed(*words)
    if took.code != code:
        raise Failed(f"jobctl {' '.join(words)}: exit code {took.code}, not {code}")
    return took


def _rows(bench: Bench, instance: Instance, line: str, table: str) -> tuple[Took, Figure]:
    """Of what is printed, a line a row, beside what SQLite and json need for the same table."""
    printed, copy = bench.directory(), bench.directory()
    took = instance.timed(*line.split(), output=printed)
    with open(printed, "rb") as file:
        count = sum(1 for _ in file)
    bare = floor.read_seconds(instance.paths.database, table, copy)
    printed.unlink()
    copy.unlink()
    target = at_least(min(_ROWS_A_SECOND, count / bare / _TIMES_THE_FLOOR))
    what = f"{line}, {count:,} lines"
    return took, Figure(what=what, value=count / took.wall, unit="rows/s", target=target)


def _flat(who: str, grown_kb: int) -> Figure:
    return Figure(
        what=f"memory of the {who}, grown by",
        value=max(0, grown_kb) / 1000,
        unit="MB",
        target=at_most(_FLAT_MB),
    )


def _dispatch_beside(bench: Bench, instance: Instance) -> Figure:
    """The rate of dispatch while somebody lists everything again and again, against without."""
    with instance.client() as client:

        def alone() -> Round:
            return our_round(instance, client, bench.sizes.compared_jobs, SLOTS, HIGH)

        def beside() -> Round:
            with _again_and_again(instance, "ls", "--format", "ndjson"):
                return alone()

        found = rounds_of(bench, {"alone": alone, "beside": beside}, needed=("alone", "beside"))
    return of_rounds(
        "dispatch beside a long list",
        ratios(found["beside"], found["alone"]),
        "of without",
        target=at_least(0.8),
    )


@contextlib.contextmanager
def _again_and_again(instance: Instance, *words: str) -> Iterator[None]:
    """One such command after the other, until the block is left."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            instance.begin(BIN / "jobctl", *words).wait()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        while thread.is_alive():
            instance.end_begun()
            thread.join(0.1)


LISTING: Final = Scenario("listing", "whole lists of a long queue, piped", _listing)
