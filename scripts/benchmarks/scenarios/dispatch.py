"""Many jobs that do nothing: what the queue adds to each."""

from __future__ import annotations

import time
from statistics import median
from typing import Final

from scripts.benchmarks.bench import Bench, Measured, Scenario
from scripts.benchmarks.contest import (
    Contender,
    Round,
    median_cpu,
    our_round,
    ours,
    ratios,
    rounds_of,
    theirs,
)
from scripts.benchmarks.figures import Figure, Skipped, Target, at_least, at_most, of_rounds
from scripts.benchmarks.instance import NO_OP, await_all
from scripts.benchmarks.measure import cores_loaded
from scripts.benchmarks.peers import PEERS, XARGS, Peer
from scripts.benchmarks.sizes import SLOTS

_SYNC_S: Final = 0.005
"""What `native/slow_sync.c` adds."""


def _dispatch(bench: Bench) -> Measured:
    """Ours beside xargs and, where they are asked for, the other queues."""
    jobs = bench.sizes.jobs
    peers = _peers(bench)
    with bench.instance() as instance, instance.client() as client:
        contenders: dict[str, Contender] = {"jobd": ours(instance, client, jobs, SLOTS)}
        for peer in peers:
            count = max(SLOTS, round(jobs * peer.share))
            contenders[peer.name] = theirs(bench, peer, count, SLOTS)
        others = tuple(peer.name for peer in peers if peer is not XARGS)
        found = rounds_of(bench, contenders, needed=("jobd",), brief=others)
    mine = found["jobd"]
    for name, rounds in found.items():
        count = rounds[0].jobs
        rates = [one.rate for one in rounds]
        yield of_rounds(f"{name}, {count:,} jobs", rates, "jobs/s", cpu_ms=median_cpu(rounds))
    yield of_rounds(
        "daemon's CPU", [one.daemon_ms for one in mine], "ms a job", target=at_most(0.6)
    )
    if XARGS.name in found:
        yield of_rounds("jobd", ratios(mine, found[XARGS.name]), "of xargs", target=at_least(0.85))
    yield from _beside_the_fastest(
        mine, {p.name: found[p.name] for p in peers if p.queues if p.name in found}
    )


def _peers(bench: Bench) -> list[Peer]:
    """Those that take part; a note says which of them are missing here."""
    wanted = [XARGS, *(PEERS if bench.with_peers else ())]
    missing = [peer.name for peer in wanted if not peer.is_there()]
    if missing:
        bench.note(f"not on PATH: {', '.join(missing)}")
    return [peer for peer in wanted if peer.is_there()]


def _beside_the_fastest(mine: list[Round], queues: dict[str, list[Round]]) -> Measured:
    if queues:
        name = max(queues, key=lambda name: median(one.rate for one in queues[name]))
        yield of_rounds(
            "jobd",
            ratios(mine, queues[name]),
            f"of {name}, the fastest queue",
            target=at_least(1.5),
        )


def _loaded(bench: Bench) -> Measured:
    with cores_loaded():
        yield from _dispatch(bench)


def _durable(bench: Bench) -> Measured:
    """Every commit waits for the disk, and commits are shared the more the more jobs run."""
    library = bench.compiled("slow_sync.c", "-shared", "-fPIC")
    slow = {"LD_PRELOAD": str(library)}
    with bench.instance(environment=slow) as instance, instance.client() as client:
        begun = time.perf_counter()
        submitted = client.submit(instance.request([NO_OP]))
        if time.perf_counter() - begun < _SYNC_S:
            raise Skipped("the slow sync does not reach the daemon's SQLite")
        client.workers(1)
        await_all(client, submitted.first, submitted.last)
        for slots, target in ((SLOTS, 220), (32, 500)):
            rounds: list[Round] = []
            for number in range(bench.sizes.rounds):
                bench.say(f"{slots} workers, round {number + 1} of {bench.sizes.rounds}")
                rounds.append(our_round(instance, client, bench.sizes.durable_jobs, slots))
            yield _durable_figure(slots, rounds, at_least(target))


def _durable_figure(slots: int, rounds: list[Round], target: Target) -> Figure:
    return of_rounds(
        f"{slots} workers, {rounds[0].jobs:,} jobs",
        [one.rate for one in rounds],
        "jobs/s",
        target=target,
        cpu_ms=median_cpu(rounds),
    )


DISPATCH: Final = Scenario(
    "dispatch",
    "no-op jobs queued in one batch, 3 workers, until the last one's end is on disk",
    _dispatch,
)
LOADED: Final = Scenario(
    "loaded", "the same while every core is kept busy by somebody else", _loaded
)
DURABLE: Final = Scenario(
    "durable", "the same on a disk whose sync takes 5 ms longer (injected)", _durable
)
