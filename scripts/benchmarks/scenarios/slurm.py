"""Jobs that do nothing, on a Slurm cluster: ours beside a plain loop of `sbatch --wrap`.

The loop hands over one job after another as fast as sbatch does, and the cluster runs of them what
it can at a time. Ours has that many workers, so that neither has more at once than the other. Both
are measured from the first job handed over to the end of the last; of ours, that end is on disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Final

from scripts.benchmarks.bench import Bench, Measured, Scenario
from scripts.benchmarks.contest import Contender, Round, our_round, ratios, rounds_of
from scripts.benchmarks.figures import Failed, Skipped, at_least, of_rounds
from scripts.benchmarks.instance import NO_OP, await_all

_PACK: Final = 20
_MOST_WORKERS: Final = 512
"""A larger cluster is not filled by so few jobs."""
_ALONE, _PACKED, _LOOP = "jobd", f"jobd, pack = {_PACK}", "sbatch --wrap"
_LOOK_S: Final = 0.1
"""Seconds between two looks whether the loop's jobs have ended: nothing tells."""


def _beside_a_loop(bench: Bench) -> Measured:
    jobs, workers = bench.sizes.slurm_jobs, _at_a_time()
    with _contender(bench, workers, 1) as alone, _contender(bench, workers, _PACK) as packed:
        contenders = {_LOOP: lambda: _loop(jobs), _ALONE: alone, _PACKED: packed}
        found = rounds_of(bench, contenders, needed=tuple(contenders))
    for name, rounds in found.items():
        rates = [one.rate for one in rounds]
        yield of_rounds(f"{name}, {jobs:,} jobs, {workers} at a time", rates, "jobs/s")
    for name, target in ((_ALONE, 0.8), (_PACKED, 5.0)):
        shares = ratios(found[name], found[_LOOP])
        yield of_rounds(name, shares, "of the loop", target=at_least(target))


@contextlib.contextmanager
def _contender(bench: Bench, workers: int, pack: int) -> Iterator[Contender]:
    """A daemon of its own; it has asked a node for the shared directory already."""
    config = bench.directory()
    config.write_text(f'[daemon]\nengine = "slurm"\n\n[engine.slurm]\npack = {pack}\n')
    with bench.instance("--config", str(config)) as instance, instance.client() as client:
        one = client.submit(instance.request([NO_OP]))
        client.workers(1)
        await_all(client, one.first, one.last)
        yield lambda: our_round(instance, client, bench.sizes.slurm_jobs, workers)


def _loop(jobs: int) -> Round:
    """From the first call to the last end. Raises: Failed."""
    name = f"bench-{os.getpid()}-{time.monotonic_ns()}"
    command = ["sbatch", "--output=/dev/null", f"--job-name={name}", "--wrap", "true"]
    begun, before = time.perf_counter(), os.times()
    for _ in range(jobs):
        _asked(*command)
    while _asked("squeue", "--noheader", f"--name={name}", "--states=pending,running,completing"):
        time.sleep(_LOOK_S)
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return Round(jobs, time.perf_counter() - begun, spent)


def _at_a_time() -> int:
    """How many jobs of one processor the default partition runs at once. Raises: Skipped (there is
    no cluster).
    """
    if shutil.which("sbatch") is None:
        raise Skipped("Slurm is not on PATH (sbatch)")
    try:
        lines = _asked("sinfo", "--noheader", "--format=%P %C %h").splitlines()
    except Failed as error:
        raise Skipped(
            f"no cluster answers; one to try it: python -m tests.slurm_cluster: {error}"
        ) from None
    return min(_MOST_WORKERS, sum(map(of_partition, lines)))


def of_partition(line: str) -> int:
    """Its processors, times those that must share one: `all* 0/12/0/12 FORCE:4`."""
    name, counts, sharing = line.split()
    forced, _, times = sharing.partition(":")
    if not name.endswith("*"):
        return 0
    usable = sum(int(count) for count in counts.split("/")[:2])
    return usable * (int(times or 1) if forced == "FORCE" else 1)


def _asked(*command: str) -> str:
    """What one of Slurm's programs prints. Raises: Failed."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failed(f"{command[0]}: {said[-1]}")
    return done.stdout.strip()


SLURM: Final = Scenario(
    "slurm",
    "no-op jobs on a Slurm cluster, as many at a time as it runs, beside a plain loop of sbatch",
    _beside_a_loop,
)
