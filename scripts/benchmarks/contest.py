"""No-op jobs, run by turns by all who take part: what else the machine does hits them alike.

A ratio is the median of each round's own: a slow minute counts for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from jobd.client.client import Client
from jobd.contract.models import Options
from scripts.benchmarks.bench import Bench
from scripts.benchmarks.figures import Failed
from scripts.benchmarks.instance import NO_OP, Instance, await_all
from scripts.benchmarks.measure import cpu_of
from scripts.benchmarks.peers import Peer, round_of


@dataclass(frozen=True)
class Round:
    """What so many jobs took, in seconds."""

    jobs: int
    wall: float
    cpu: float
    """Of the queue and of the jobs."""
    daemon_cpu: float = 0.0
    """Of our daemon alone."""

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.wall

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU time a job."""
        return 1000 * self.cpu / self.jobs

    @property
    def daemon_ms(self) -> float:
        """Milliseconds of our daemon's CPU time a job."""
        return 1000 * self.daemon_cpu / self.jobs


Contender = Callable[[], Round]


def our_round(
    instance: Instance,
    client: Client,
    jobs: int,
    slots: int,
    priority: int = 0,
    *,
    kept: bool = False,
) -> Round:
    """From the request that opens the slots to the answer that all have ended: it is on disk.

    `kept`: the jobs stay in the store afterwards, and what they printed on the disk. ext4 looks
    for a free inode among those that were deleted within the last minutes, which makes the files
    of the next round dearer for whoever runs then.
    """
    client.workers(0)
    request = instance.request([NO_OP] * jobs, Options(priority=priority))
    submitted = client.submit(request)
    pid = instance.pids[0]
    before = cpu_of(pid)
    begun = time.perf_counter()
    client.workers(slots)
    chosen = await_all(client, submitted.first, submitted.last)
    wall = time.perf_counter() - begun
    after = cpu_of(pid)
    client.workers(0)
    if not kept:
        client.rm(chosen)
    own = after.own - before.own
    return Round(jobs, wall, own + after.children - before.children, own)


def ours(instance: Instance, client: Client, jobs: int, slots: int) -> Contender:
    """This queue as a contender."""
    return lambda: our_round(instance, client, jobs, slots, kept=True)


def theirs(bench: Bench, peer: Peer, jobs: int, slots: int) -> Contender:
    """Another one."""
    return lambda: Round(jobs, *round_of(peer, jobs, slots, bench.directory()))


def rounds_of(
    bench: Bench,
    contenders: Mapping[str, Contender],
    *,
    needed: tuple[str, ...],
    brief: tuple[str, ...] = (),
) -> dict[str, list[Round]]:
    """Every contender's rounds. One that fails is left out from then on, and a note says why.

    `brief`: those that take part in the first rounds alone.

    Raises: Failed (that one is needed).
    """
    found: dict[str, list[Round]] = {name: [] for name in contenders}
    for number in range(bench.sizes.rounds):
        ran = [name for name in found if number < bench.sizes.peer_rounds or name not in brief]
        for name in ran:
            try:
                found[name].append(contenders[name]())
            except Failed as error:
                if name in needed:
                    raise
                bench.note(f"left out: {error}")
                del found[name]
        told = ", ".join(f"{name} {found[name][-1].rate:,.0f}" for name in ran if name in found)
        bench.say(f"round {number + 1} of {bench.sizes.rounds}: {told} jobs/s")
    return found


def ratios(mine: list[Round], its: list[Round]) -> list[float]:
    """By how much our rate exceeds the other, round by round, as long as both took part."""
    return [a.rate / b.rate for a, b in zip(mine, its, strict=False)]


def median_cpu(rounds: list[Round]) -> float:
    """Milliseconds a job."""
    return median(one.cpu_ms for one in rounds)
