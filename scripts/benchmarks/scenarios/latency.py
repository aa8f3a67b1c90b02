"""How long it takes until something follows: a start, a waiting client's answer, the next start."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.models import Command, Output
from scripts.benchmarks.bench import Bench, Measured, Scenario, all_of
from scripts.benchmarks.figures import Figure, Skipped, at_most, of_rounds
from scripts.benchmarks.instance import await_all
from scripts.benchmarks.measure import percentile

_SLEEP_US: Final = 30_000
"""How long a job lives whose end is waited for."""


def _commands(bench: Bench) -> tuple[Command, Command]:
    """Each prints the time in nanoseconds as its last act: one at once, one after a moment."""
    try:
        moment = os.fsencode(bench.compiled("moment.c"))
    except Skipped:
        bench.note("there is no C compiler (cc): the start of `date` is part of the figures")
        late = f"sleep {_SLEEP_US / 1e6}; exec date +%s%N".encode()
        return Command(argv=[b"date", b"+%s%N"]), Command(argv=[late], shell=True)
    return Command(argv=[moment]), Command(argv=[moment, str(_SLEEP_US).encode()])


def _start(bench: Bench) -> Measured:
    """The daemon is idle; the connection is open."""
    at_once, _ = _commands(bench)
    values = []
    with bench.instance(workers=1) as instance, instance.client() as client:
        request = instance.request([at_once])
        for _ in range(bench.sizes.looks):
            begun = time.time_ns()
            job = client.submit(request).first
            await_all(client, job, job)
            values.append((_printed(client, job) - begun) / 1e6)
    yield of_rounds("submit sent → first instruction", values, "ms, median", target=at_most(3))
    yield _tail(values, at_most_ms=15)


def _finish(bench: Bench) -> Measured:
    """One client waits, and one job waits for the only worker."""
    at_once, late = _commands(bench)
    answered, followed = [], []
    with bench.instance(workers=1) as instance, instance.client() as client:
        request = instance.request([late, at_once])
        for _ in range(bench.sizes.looks):
            first = client.submit(request).first
            follow.until_finished(client, all_of(first, first))
            returned = time.time_ns()
            await_all(client, first, first + 1)
            ended, started = _printed(client, first), _printed(client, first + 1)
            answered.append((returned - ended) / 1e6)
            followed.append((started - ended) / 1e6)
    yield of_rounds("last instruction → client", answered, "ms, median", target=at_most(3))
    yield of_rounds("last instruction → next job", followed, "ms, median", target=at_most(3))


def _tail(values: Sequence[float], *, at_most_ms: float) -> Figure:
    return Figure(
        what="the same",
        value=percentile(values, 99),
        unit="ms, 99th percentile",
        target=at_most(at_most_ms),
    )


def _printed(client: Client, job: int) -> int:
    """Nanoseconds since the epoch."""
    return int(client.output(Output(id=job)).data)


START: Final = Scenario(
    "start", "from `submit` over an open connection to the job's first instruction", _start
)
FINISH: Final = Scenario(
    "finish", "from a job's last instruction to a waiting client, and to the next job", _finish
)
