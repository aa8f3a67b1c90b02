"""What the daemon occupies, and that it does nothing while there is nothing to do."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Final

from jobd.client import outputs
from jobd.client.client import Client
from jobd.contract.errors import JobdError
from jobd.contract.models import Command, Options, Output
from scripts.benchmarks.bench import Bench, Measured, Scenario, all_of
from scripts.benchmarks.contest import our_round
from scripts.benchmarks.figures import Failed, Figure, at_most
from scripts.benchmarks.instance import BIN, Instance
from scripts.benchmarks.measure import are_running, cpu_of, resident_kb, wakeups
from scripts.benchmarks.sizes import SLOTS

_SILENT: Final = Command(argv=[b"sleep", b"3600"])
_IDLE_FOLLOWERS: Final = 10
_PIECE: Final = 5_000
"""Jobs that are run at once to see whether memory grows."""
_SETTLED_S: Final = 1.0
"""A process whose threads sleep for so long has come to rest: the output of a job that has just
begun is looked at every half second, a few times.
"""
_REST_S: Final = 10.0
"""Within which it comes to rest, if it ever does."""
_PATIENCE_S: Final = 30.0
"""Within which everybody has to have come."""


def _memory(bench: Bench) -> Measured:
    with bench.instance() as instance:
        daemon, _ = instance.pids
        _settle(instance.pids)
        idle = resident_kb(daemon)
        yield Figure(what="idle", value=idle / 1000, unit="MB", target=at_most(40))
        yield _pending(bench, instance)
    with bench.instance() as instance:
        yield _ended(bench, instance)
        yield _followed(bench, instance)


def _pending(bench: Bench, instance: Instance) -> Figure:
    count, (daemon, _) = bench.sizes.store, instance.pids
    bench.say(f"{count:,} jobs that wait")
    before = resident_kb(daemon)
    instance.jobctl("submit", "--file", "-", stdin=b"true\n" * count)
    _settle(instance.pids)
    grown = 1000 * (resident_kb(daemon) - before)
    what = f"{count:,} pending"
    return Figure(what=what, value=grown / count, unit="bytes a job", target=at_most(100))


def _ended(bench: Bench, instance: Instance) -> Figure:
    """After a first piece, with which everything has been used once."""
    daemon, _ = instance.pids
    pieces = max(1, bench.sizes.ended // _PIECE)
    jobs = bench.sizes.ended // pieces
    with instance.client() as client:
        our_round(instance, client, jobs, SLOTS)
        before = resident_kb(daemon)
        for number in range(pieces):
            bench.say(f"{(number + 1) * jobs:,} jobs of {bench.sizes.ended:,}")
            our_round(instance, client, jobs, SLOTS)
    grown = max(0, resident_kb(daemon) - before) / 1000
    what = f"after {bench.sizes.ended:,} more jobs"
    return Figure(what=what, value=grown, unit="MB more", target=at_most(1))


def _followed(bench: Bench, instance: Instance) -> Figure:
    daemon, _ = instance.pids
    count = bench.sizes.followers
    bench.say(f"{count} followers of a job that prints nothing")
    with instance.client() as client:
        client.workers(1)
        job = client.submit(instance.request([_SILENT])).first
        before = resident_kb(daemon)
        with _following(instance, client, job, count):
            _settle(instance.pids)
            grown = resident_kb(daemon) - before
    what = f"{count} followers"
    return Figure(what=what, value=grown / count, unit="KB a follower", target=at_most(60))


@contextlib.contextmanager
def _following(instance: Instance, client: Client, job: int, count: int) -> Iterator[None]:
    """So many connections, each of which waits for output; gone with the job."""
    connected = threading.Semaphore(0)

    def follow_it() -> None:
        with contextlib.suppress(JobdError, OSError), Client(instance.paths.socket) as own:
            own.workers()
            connected.release()
            for _ in outputs.output(own, Output(id=job), follow=True):
                pass

    threads = [threading.Thread(target=follow_it, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        for number in range(count):
            if not connected.acquire(timeout=_PATIENCE_S):
                raise Failed(f"only {number} of {count} followers were let in")
        yield
    finally:
        client.stop(all_of(job, job), grace=0)
        for thread in threads:
            thread.join(_PATIENCE_S)


def _idle(bench: Bench) -> Measured:
    """First nobody looks, then ten follow jobs that print nothing."""
    with bench.instance() as instance:
        count = bench.sizes.store
        instance.jobctl("submit", "--file", "-", stdin=b"true\n" * count)
        instance.jobctl("submit", "--hold", "--file", "-", stdin=b"true\n" * count)
        seconds = bench.sizes.idle_seconds
        bench.say(f"nothing for {seconds} s")
        yield from _rest(instance, seconds, f"{count:,} pending, {count:,} held")
        with instance.client() as client:
            request = instance.request([_SILENT] * _IDLE_FOLLOWERS, Options(priority=1))
            first = client.submit(request).first
            client.workers(_IDLE_FOLLOWERS)
        begun = [
            instance.begin(BIN / "jobctl", "logs", "-f", str(job))
            for job in range(first, first + _IDLE_FOLLOWERS)
        ]
        _await_connections(instance, _IDLE_FOLLOWERS)
        # Who is connected has not asked yet.
        _settle((*instance.pids, *(follower.pid for follower in begun)))
        bench.say(f"nothing for {seconds} s, with {_IDLE_FOLLOWERS} followers")
        yield from _rest(instance, seconds, f"{_IDLE_FOLLOWERS} followers of silent jobs")


def _rest(instance: Instance, seconds: float, what: str) -> Iterator[Figure]:
    pids = instance.pids
    _settle(pids)
    cpu, before = sum(cpu_of(pid).own for pid in pids), wakeups(*pids)
    time.sleep(seconds)  # that nothing happens is what is measured
    woken, used = wakeups(*pids) - before, sum(cpu_of(pid).own for pid in pids) - cpu
    unit = f"in {seconds:g} s"
    yield Figure(what=what, value=woken, unit=f"wake-ups {unit}", target=at_most(0))
    yield Figure(what=what, value=1000 * used, unit=f"ms of CPU {unit}", target=at_most(0))


def _settle(pids: tuple[int, ...]) -> None:
    """Wait until these processes do nothing; but no longer than that should take."""
    deadline = time.monotonic() + _REST_S
    while time.monotonic() < deadline:
        before = wakeups(*pids)
        time.sleep(_SETTLED_S)
        # Whoever wants the processor, and has not got it for so long, does not sleep.
        if wakeups(*pids) == before and not are_running(*pids):
            return


def _await_connections(instance: Instance, count: int) -> None:
    """Until so many clients are connected: accepted sockets bear the listener's path."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
            rows = [line.split() for line in table]
        path = [str(instance.paths.socket)]
        if sum(1 for row in rows if row[7:] == path and row[5] == "03") >= count:
            return
        time.sleep(0.05)
    raise Failed(f"{count} clients did not get in within {_PATIENCE_S} s")


MEMORY: Final = Scenario("memory", "the daemon's resident size", _memory)
IDLE: Final = Scenario("idle", "wake-ups and CPU of daemon and supervisor", _idle)
