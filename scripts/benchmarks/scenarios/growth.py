"""The same work with a full store as with an empty one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from jobd.client.client import Client
from jobd.contract.models import Edit, List, Options
from scripts.benchmarks.bench import HIGH, Bench, Measured, Scenario, all_of
from scripts.benchmarks.contest import our_round, ratios, rounds_of
from scripts.benchmarks.figures import Failed, at_least, at_most, of_rounds
from scripts.benchmarks.instance import NO_OP, Instance, await_all
from scripts.benchmarks.sizes import SLOTS

_EQUAL: Final = at_least(0.9)
_PAGE: Final = 100
"""Jobs of the first page of a list."""
_LOOKS_IN_A_ROUND: Final = 10


def _growth(bench: Bench) -> Measured:
    """Everything by turns in a daemon with an empty store and in one with a full store."""
    with (
        bench.instance() as empty,
        bench.filled() as full,
        empty.client() as of_empty,
        full.client() as of_full,
    ):
        jobs = bench.sizes.compared_jobs
        found = rounds_of(
            bench,
            {
                "empty": lambda: our_round(empty, of_empty, jobs, SLOTS, HIGH),
                "full": lambda: our_round(full, of_full, jobs, SLOTS, HIGH),
            },
            needed=("empty", "full"),
        )
        speeds = ratios(found["full"], found["empty"])
        yield of_rounds("dispatch", speeds, "of empty", target=_EQUAL)
        # A page of the empty store is to have as many jobs.
        of_empty.submit(empty.request([NO_OP] * _PAGE))
        for what, of in _REQUESTS.items():
            bench.say(what)
            pair = of(empty, of_empty), of(full, of_full)
            rounds = max(1, bench.sizes.looks // _LOOKS_IN_A_ROUND)
            speeds = [_speed(*pair) for _ in range(rounds)]
            yield of_rounds(what, speeds, "of empty", target=_EQUAL)


Action = Callable[[], Callable[[], object]]
"""Prepares something, and gives what is to be timed."""


def _speed(of_empty: Action, of_full: Action) -> float:
    """How much faster than in the empty store, each several times by turns."""
    seconds = {of_empty: 0.0, of_full: 0.0}
    for _ in range(_LOOKS_IN_A_ROUND):
        for action in seconds:
            timed = action()
            begun = time.perf_counter()
            timed()
            seconds[action] += time.perf_counter() - begun
    return seconds[of_empty] / seconds[of_full]


def _one(instance: Instance, client: Client) -> int:
    """A new job that waits, before all others."""
    return client.submit(instance.request([NO_OP], Options(priority=HIGH))).first


def _submit(instance: Instance, client: Client) -> Action:
    request = instance.request([NO_OP], Options(priority=HIGH))
    return lambda: lambda: client.submit(request)


def _show(instance: Instance, client: Client) -> Action:
    job = _one(instance, client)
    return lambda: lambda: client.show(job)


def _page(_: Instance, client: Client) -> Action:
    request = List(pending=_PAGE, finished=0)
    return lambda: lambda: client.list(request)


def _stop(instance: Instance, client: Client) -> Action:
    def prepare() -> Callable[[], object]:
        job = _one(instance, client)
        return lambda: client.stop(all_of(job, job))

    return prepare


def _edit(instance: Instance, client: Client) -> Action:
    def prepare() -> Callable[[], object]:
        request = Edit(id=_one(instance, client), priority=HIGH + 1)
        return lambda: client.edit(request)

    return prepare


_REQUESTS: Final[dict[str, Callable[[Instance, Client], Action]]] = {
    "submit of one": _submit,
    "show": _show,
    "first page of ls": _page,
    "stop of one": _stop,
    "edit of one": _edit,
}


def _restart(bench: Bench) -> Measured:
    """From the command that starts the daemon to the first start of a job."""
    seconds = []
    with bench.filled() as instance:
        for number in range(min(3, bench.sizes.rounds)):
            bench.say(f"start {number + 1} with {bench.sizes.store:,} jobs that wait")
            with instance.client() as client:
                (first,) = client.list(List(running=0, pending=1, finished=0)).jobs
            instance.stop()
            begun = time.time()
            instance.start("--workers", "1")
            with instance.client() as client:
                await_all(client, first.id, first.id)
                client.workers(0)
                started = client.show(first.id).job.started_at
            if started is None:
                raise Failed("a job has ended that was never started")
            seconds.append(started.timestamp() - begun)
    what = f"first start, {bench.sizes.store:,} jobs wait"
    yield of_rounds(what, seconds, "s", target=at_most(1.5))


GROWTH: Final = Scenario(
    "growth", "the same requests with a full store as with an empty one, by turns", _growth
)
RESTART: Final = Scenario(
    "restart", "from `jobd start` to the first start of a job, many waiting", _restart
)
