"""Beats a daemon of its own with kills under load, and says which promises held.

    scripts/soak --minutes 5          as many kills as five minutes hold
    scripts/soak --kills 300          so many
    scripts/soak --crash-points       instead: a kill at each named point, as a table

All is done in a scratch directory. Exit 1: something did not hold; the seed that is printed beats
it in the same order again (not in the same instants: those are the machine's).
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jobd.client.client import Client
from jobd.contract.models import Selector, Wait
from jobd.contract.paths import is_supervised
from jobd.contract.states import State
from tests import slurm_cluster
from tests.e2e.instance import Instance, json_of
from tests.helpers import wait_until
from tests.soak import checks, points, trace, watchers
from tests.soak.account import Account
from tests.soak.disk import Disk
from tests.soak.load import Hand
from tests.soak.model import Model
from tests.soak.violence import Violence, environment
from tests.soak.witness import Witness

_HANDS = 3
_PATIENCE = 120.0
_CANARY = "trap 'echo signalled >>canary' HUP INT TERM USR1 USR2; while :; do sleep 1; done"


def main():
    options = _options()
    Instance.engine = options.engine
    if options.pack > 1:
        Instance.section += f"pack = {options.pack}\n"
    with _cluster(options.engine) as cluster:
        return _beaten(options, cluster)


@contextlib.contextmanager
def _cluster(engine):
    """What the engine needs, for as long as it is beaten."""
    if engine != "slurm":
        yield None
        return
    with slurm_cluster.started() as cluster:
        os.environ["SLURM_CONF"] = str(cluster.conf)
        yield cluster


def _beaten(options, cluster):
    if options.crash_points:
        return 0 if points.table() else 1
    base = Path(tempfile.mkdtemp(prefix="jobd-soak-", dir="/tmp"))
    instance = Instance(base / "jobd", base / "work")
    disk = None if options.large_disk else _disk(instance)
    try:
        wrong, lines = Soak(options, instance, disk, cluster).run()
        print("\n".join(lines))
    except BaseException:
        print(f"broken off (kept: {base}); --seed {options.seed}; alive: {instance.processes()}")
        raise
    finally:
        _end_all(instance)
        if disk is not None:
            _keep(instance, base)
            disk.close()
        if cluster is not None:
            for log in cluster.directory.glob("*.log"):
                shutil.copy(log, base)
    if wrong:
        print(f"{len(wrong)} did not hold (kept: {base}); again: --seed {options.seed}")
        print("\n".join(f"  {text}" for text in wrong[:50]))
        return 1
    shutil.rmtree(base)
    print("all invariants held")
    return 0


def _options():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--kills", type=int, help="stop after so many (20 where nothing is said)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument(
        "--pause", type=float, default=0.15, help="seconds between two requests of a hand (0.15)"
    )
    parser.add_argument(
        "--large-disk", action="store_true",
        help="state on the disk of /tmp, which is never full: syncs take their time there",
    )  # fmt: skip
    parser.add_argument(
        "--crash-points",
        action="store_true",
        help="instead: a kill at each named point",
    )
    parser.add_argument(
        "--engine", choices=("local", "slurm"), default="local",
        help="slurm: on a cluster of three nodes that is started for it",
    )  # fmt: skip
    parser.add_argument(
        "--pack", type=int, default=1, help="of slurm: so many jobs in what it gives for one"
    )
    options = parser.parse_args()
    if options.kills is None and options.minutes is None:
        options.kills = 20
    return options


def _disk(instance):
    """A small one of its own, which can be full; None: only root can have that."""
    try:
        return Disk(instance.paths.state)
    except OSError as error:
        print(f"without a full disk: {error}")
        return None


def _keep(instance, base):
    """What is on the small disk goes with it."""
    shutil.copytree(instance.paths.state, base / "kept", ignore=shutil.ignore_patterns("*.sock*"))


def _end_all(instance):
    for pid in instance.processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class Soak:
    """Load and violence → quiet → every invariant."""

    def __init__(self, options, instance, disk, cluster):
        self._options = options
        self._instance = instance
        self._cluster = cluster
        self._model = Model()
        self._dice = random.Random(options.seed)
        self._account = Account(instance)
        self._violence = Violence(instance, self._model, self._dice, self._account, disk, cluster)
        self._followed = []
        self._began = time.monotonic()

    def run(self):
        """What did not hold, and the counts."""
        self._account.start()
        self._instance.start("--workers", "4")
        canaries = self._canaries()
        try:
            return self._beat(canaries)
        finally:
            # They are nobody's, so nobody else ends them when the bench breaks off.
            for canary in canaries:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(canary.pid, signal.SIGKILL)
                canary.wait()

    def _beat(self, canaries):
        hands = [
            Hand(n, self._options.seed, self._instance, self._model, self._options.pause)
            for n in range(_HANDS)
        ]
        for hand in hands:
            hand.start()
        while not self._enough():
            time.sleep(self._dice.random() * 0.6)
            self._follow()
            self._live_attempts()
            if self._dice.random() < 0.1:
                self._set_workers(self._dice.randint(1, 8))
            self._violence.strike()
        for hand in hands:
            hand.finish()
        for hand in hands:
            hand.join(_PATIENCE)
        self._settle()
        wrong = [*self._model.wrong, *self._check(), *self._canary_deaths(canaries)]
        return wrong, self._report()

    def _enough(self):
        minutes, kills = self._options.minutes, self._options.kills
        if kills is not None and self._violence.kills >= kills:
            return True
        return minutes is not None and time.monotonic() - self._began > minutes * 60

    # --- while it goes on ---------------------------------------------------------------------

    def _follow(self):
        """A client of each kind is there at any time."""
        at_work = {followed.verb for followed in self._followed if not followed.over}
        for verb in watchers.KINDS:
            if verb not in at_work:
                number = len(self._followed) + 1
                self._followed.append(
                    watchers.Followed(self._instance, self._model, number, verb, self._dice)
                )

    def _set_workers(self, number):
        with Client(self._instance.paths.socket) as client:
            client.workers(number)
        self._model.count("workers set")

    def _live_attempts(self):
        """Never two of one job at a time."""
        runs = {}
        for pid in self._instance.processes():
            variables = environment(pid)
            job, run = variables.get("JOBD_JOB_ID"), variables.get("JOBD_RUN")
            if job and runs.setdefault(job, run) != run:
                self._model.report(f"two attempts of job {job} live at the same time")

    def _canaries(self):
        """Processes of nobody; a signal to one of them was a signal to the wrong process."""
        return [
            subprocess.Popen(
                ["sh", "-c", _CANARY], cwd=self._instance.work, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for _ in range(3)
        ]  # fmt: skip

    def _canary_deaths(self, canaries):
        died = sum(canary.poll() is not None for canary in canaries)
        if died or self._instance.lines("canary"):
            yield f"{died} processes that are no job's were killed, others signalled"

    # --- in the end ---------------------------------------------------------------------------

    def _settle(self):
        """All that waits has its turn, and who follows hears the end. A busy machine takes its time
        for what has piled up: the queue has to move.
        """
        self._set_workers(8)
        unfinished = Wait(selector=Selector(states=[State.PENDING, State.RUNNING]))
        with Client(self._instance.paths.socket) as client:
            while left := client.wait(unfinished).total:
                wait_until(lambda left=left: client.wait(unfinished).total < left, _PATIENCE)
        for followed in self._followed:
            wait_until(lambda followed=followed: followed.over, _PATIENCE)

    def _check(self):
        yield from checks.settled(lambda: list(checks.nobody_is_left(self._instance)))
        self._traces = traces = trace.read(self._instance.lines(trace.FILE))
        if self._cluster is not None:
            self._model.witness = Witness(self._cluster.directory.glob("*.log"))
        self._final = found = checks.read(self._instance.paths.database)
        yield from checks.all_of(found, self._model, traces, self._instance.paths)
        for followed in self._followed:
            yield from followed.wrong(found, self._model)
        with self._account.ordered("stop"):
            self._instance.jobd("stop")
        wait_until(lambda: not is_supervised(self._instance.paths.socket), _PATIENCE)
        self._account.finish()
        yield from self._account.wrong()
        self._told = json_of(self._instance.jobd("check", "--json", code=None))
        yield from (f"jobd check: {finding['text']}" for finding in self._told["findings"])
        yield from (f"outlived the stop: {text}" for text in self._instance.processes().values())

    def _report(self):
        model, found = self._model, self._final
        reasons = [ran.reason or "exit code 0" for rans in found.attempts.values() for ran in rans]
        yield f"seed {self._options.seed}, {time.monotonic() - self._began:.0f} s"
        yield f"{self._violence.kills:6} kills (SIGKILL)"
        for what, number in sorted(model.counts.items()):
            yield f"{number:6} {what}"
        yield f"{len(found.jobs):6} jobs in the store, ids up to {found.last_id}"
        begun, ended = len(self._traces.begun), len(self._traces.ended)
        yield f"{begun:6} attempts began, {ended} said their end"
        for reason in sorted(set(reasons)):
            yield f"{reasons.count(reason):6} attempts: {reason}"
        yield f"{len(found.events):6} events"
        yield f"{len(self._told['findings']):6} findings of jobd check"
        yield f"{len(self._followed):6} jobs followed by jobctl: {', '.join(watchers.KINDS)}"
        for what, number in sorted(self._account.counts.items()):
            yield f"{number:6} {what}"
        yield from _latencies(model.answered_after)


def _latencies(measured):
    yield "seconds until the next daemon answered:   median    worst"
    for what in sorted({what for what, _ in measured}):
        times = [seconds for name, seconds in measured if name == what]
        label = f"{what} ({len(times)})"
        yield f"  {label:38} {statistics.median(times):7.2f}  {max(times):7.2f}"


if __name__ == "__main__":
    sys.exit(main())
