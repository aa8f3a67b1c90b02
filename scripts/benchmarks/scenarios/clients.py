"""Whoever looks on must not slow down what is looked at."""

from __future__ import annotations

import os
import sys
from typing import Final

from jobd.client.client import Client
from jobd.contract.models import Command
from scripts.benchmarks.bench import PROGRAMS, Bench, Measured, Scenario
from scripts.benchmarks.figures import at_most, of_rounds
from scripts.benchmarks.instance import BIN, Instance, await_all

_MB_A_SECOND: Final = 200


def _long_output(bench: Bench) -> Measured:
    """The same job by turns with and without a follower."""
    alone, followed = [], []
    with bench.instance(workers=1) as instance, instance.client() as client:
        for number in range(bench.sizes.rounds):
            bench.say(f"round {number + 1} of {bench.sizes.rounds}")
            alone.append(_seconds(bench, instance, client, followed=False))
            followed.append(_seconds(bench, instance, client, followed=True))
    megabytes = _MB_A_SECOND * bench.sizes.paced_seconds
    rates = [megabytes / seconds for seconds in alone]
    yield of_rounds("not followed", rates, "MB/s")
    slower = [mine / its for mine, its in zip(followed, alone, strict=True)]
    yield of_rounds("with `logs -f`", slower, "times as long", target=at_most(1.05))


def _seconds(bench: Bench, instance: Instance, client: Client, *, followed: bool) -> float:
    """How long the job took to write it all, by its own clock."""
    report, seconds = bench.directory(), bench.sizes.paced_seconds
    words = [sys.executable, PROGRAMS / "paced.py", seconds, _MB_A_SECOND, report]
    command = Command(argv=[os.fsencode(str(word)) for word in words])
    job = client.submit(instance.request([command])).first
    if followed:
        instance.begin(BIN / "jobctl", "logs", "-f", str(job))
    chosen = await_all(client, job, job)
    client.rm(chosen)
    took = float(report.read_text("utf-8"))
    report.unlink()
    return took


LONG_OUTPUT: Final = Scenario(
    "long-output",
    f"a job that writes a paced {_MB_A_SECOND} MB/s, with `logs -f` on it",
    _long_output,
)
