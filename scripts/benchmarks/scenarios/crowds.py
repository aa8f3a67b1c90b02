"""Many jobs at once, and many who watch."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from jobd.client import follow
from jobd.contract.models import Command, Job, List
from scripts.benchmarks.bench import PROGRAMS, Bench, Measured, Scenario
from scripts.benchmarks.contest import Round, our_round, ratios, rounds_of
from scripts.benchmarks.figures import Failed, Figure, at_least, of_rounds
from scripts.benchmarks.instance import Instance, await_all
from scripts.benchmarks.sizes import SLOTS

_BUSY: Final = 0.975
"""Of the workers: 195 of 200."""


def _many_workers(bench: Bench) -> Measured:
    for workers, seconds, steady in bench.sizes.crowds:
        waves = 3 + round(steady / seconds)
        bench.say(f"{workers} workers, jobs of {seconds:g} s: {waves * seconds:g} s")
        with bench.instance() as instance, instance.client() as client:
            command = Command(argv=[b"sleep", f"{seconds:g}".encode()])
            submitted = client.submit(instance.request([command] * workers * waves))
            client.workers(workers)
            chosen = await_all(client, submitted.first, submitted.last)
            pages = follow.pages(client, List(selector=chosen))
            busy = _busy([job for page in pages for job in page.jobs])
        target = at_least(int(_BUSY * workers) if workers < 1000 else 980)
        what = f"{workers} workers, jobs of {seconds:g} s"
        yield Figure(what=what, value=busy, unit="busy, on average", target=target)


def _busy(jobs: list[Job]) -> float:
    """How many ran on average, from the end of the first one to the start of the last."""
    spans = [
        (job.started_at.timestamp(), job.finished_at.timestamp())
        for job in jobs
        if job.started_at is not None and job.finished_at is not None
    ]
    begin, end = min(end for _, end in spans), max(start for start, _ in spans)
    if end <= begin:
        raise Failed("all jobs have run at once: there was no steady state")
    ran = sum(max(0.0, min(b, end) - max(a, begin)) for a, b in spans)
    return ran / (end - begin)


def _many_eyes(bench: Bench) -> Measured:
    eyes, jobs = bench.sizes.eyes, bench.sizes.compared_jobs
    with bench.instance() as instance, instance.client() as client:

        def alone() -> Round:
            return our_round(instance, client, jobs, SLOTS)

        def watched() -> Round:
            with _watched(instance, eyes):
                return alone()

        found = rounds_of(bench, {"alone": alone, "watched": watched}, needed=("alone", "watched"))
    for name, rounds in found.items():
        yield of_rounds(name, [one.rate for one in rounds], "jobs/s")
    speeds = ratios(found["watched"], found["alone"])
    yield of_rounds(f"{eyes} watch", speeds, "of alone", target=at_least(0.8))


@contextlib.contextmanager
def _watched(instance: Instance, eyes: int) -> Iterator[None]:
    """By clients in a process of their own."""
    with subprocess.Popen(
        [sys.executable, PROGRAMS / "watchers.py", instance.paths.socket, str(eyes)],
        env=instance.environment,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise Failed(f"{eyes} clients cannot watch at once")
            yield
        finally:
            process.kill()


MANY_WORKERS: Final = Scenario(
    "many-workers", "how many workers are busy while many jobs wait", _many_workers
)
MANY_EYES: Final = Scenario("many-eyes", "dispatch while many clients watch everything", _many_eyes)
