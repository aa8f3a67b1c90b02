"""Daemon, supervisor and both are killed at each named point; afterwards every invariant holds.

Each point has a scene, which is the shortest one that comes by it. A guardian starts the daemon
again where nobody is left who could, as a user would.
"""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.errors import JobdError, NotRunning
from jobd.contract.models import Selector
from jobd.contract.paths import is_supervised
from jobd.system import failpoints
from tests.e2e.instance import PATIENCE, Instance
from tests.helpers import wait_until
from tests.soak import checks, trace
from tests.soak.model import Known, Model, Span, now_us

IMPOSSIBLE = {
    # There is no daemon at these, ...
    *((point, who) for point in ("before-daemon", "daemon-died", "before-gate", "after-gate",
                                 "before-renew", "after-exec") for who in ("daemon", "both")),
    # ... and no supervisor at these.
    *((point, who) for point in ("orphaned", "before-exec") for who in ("supervisor", "both")),
}  # fmt: skip
"""Where one of the two is dead already, only the other can die."""
UNADOPTED = {"after-daemon", "before-announce", "after-announce"}
"""At these the daemon of the jobs is dead, and the next one has not taken them over: who kills the
supervisor there has killed both their parents, though a daemon lives and goes on.
"""
SCENES = {
    "before-signal": "stop", "after-signal": "stop",
    "recovering": "adopt", "recovered": "adopt",
    "before-daemon": "adopt", "after-daemon": "adopt", "ready": "adopt",
    "before-announce": "adopt", "after-announce": "adopt",
    "before-let-go": "adopt", "after-let-go": "adopt",
    "daemon-died": "adopt", "before-gate": "adopt", "after-gate": "adopt",
    "closed": "renew", "before-renew": "renew", "after-exec": "renew",
    "orphaned": "orphan", "before-exec": "orphan",
}  # fmt: skip
"""All others are passed by jobs that just run."""
MESSAGES = '[[notify]]\ncommand = "true"\n'
"""The configuration in which somebody is told of their ends, and the points of that are passed."""
PLACES = [(point, owner) for owner, points in failpoints.POINTS.items() for point in points]
"""Every point with whose code it stands in."""
OTHERS = {
    "local": set(failpoints.POINTS["slurm"]),
    "slurm": {"before-spawn", "after-spawn", "after-run-table"},
}
"""By engine: the points that only another one comes by."""
COUNTS = {
    "before-commit": 9, "after-commit": 9, "before-reply": 3, "after-reply": 3,
    "before-spawn": 2, "after-spawn": 2, "after-run-table": 2, "recovering": 2, "recovered": 2,
    "before-daemon": 2, "after-daemon": 2, "ready": 2,
}  # fmt: skip
"""The first ones are the start's own."""


class Guardian(threading.Thread):
    """Starts the daemon whenever nobody holds the lock, and notes that both were dead."""

    def __init__(self, instance, model):
        super().__init__(daemon=True)
        self._instance = instance
        self._model = model
        self._over = threading.Event()

    def run(self):
        while not self._over.wait(0.02):
            if not is_supervised(self._instance.paths.socket):
                self._model.blows.append(Span(0, now_us() + 60_000_000))
                self._instance.jobd("start", code=None)

    def finish(self):
        self._over.set()
        self.join()


class Scene:
    """One point, one victim: `wrong` is what did not hold, `hit` whether anybody came by."""

    def __init__(self, instance, point, who):
        self._instance = instance
        self._crash = f"{point}:{COUNTS.get(point, 1)}:{who}"
        self._model = Model()
        if point in UNADOPTED and who == "supervisor":
            self._model.blows.append(Span(0, sys.maxsize))
        self._play = getattr(self, f"_{SCENES.get(point, 'run')}")

    @property
    def hit(self):
        return not (self._instance.work / "fuse").exists()

    @property
    def lost(self):
        return sum(ran.reason == "lost" for rans in self._found.attempts.values() for ran in rans)

    def wrong(self):
        if self._crash.startswith("message-"):
            self._instance.configure(MESSAGES)
        self._instance.start(crash=self._crash, code=None)
        guardian = Guardian(self._instance, self._model)
        guardian.start()
        try:
            with Client(self._instance.paths.socket) as self._client:
                self._play()
                self._let_all_finish()
            if self._crash.startswith("message-"):
                # Nobody waits for messages: they may come by behind the last end, and whoever is
                # killed there is to be started again. It dies right behind the hit, and the one
                # that still answers the second time is the next one.
                wait_until(lambda: self.hit, PATIENCE)
                self._instance.answers()
                self._instance.answers()
        finally:
            guardian.finish()
        return list(self._check())

    # --- scenes ---------------------------------------------------------------------------

    def _run(self):
        for _ in range(4):
            self._submit("quick")
        self._submit("dies")
        self._submit("medium")

    def _stop(self):
        known = self._submit("stubborn", dice=9)
        self._await_begun(known)
        known.stopped = True
        self._insist(lambda: self._client.stop(_chosen(known), grace=0.2))
        self._run()

    def _adopt(self):
        """Jobs outlive their daemon; one ends while there is none, one later."""
        self._begin_two()
        old = self._instance.answers()
        with contextlib.suppress(ProcessLookupError):
            os.kill(old.pid, signal.SIGKILL)
        self._submit("quick")

    def _renew(self):
        self._begin_two()
        with contextlib.suppress(JobdError):
            self._client.renew()
        self._submit("quick")

    def _orphan(self):
        self._begin_two()
        old = self._instance.answers()
        os.kill(old.supervisor_pid, signal.SIGKILL)
        self._submit("quick")

    # --- their tools ------------------------------------------------------------------------

    def _begin_two(self):
        for known in [self._submit("short", dice=9), self._submit("long", dice=1)]:
            self._await_begun(known)

    def _submit(self, kind, dice=1):
        known = self._model.know(Known(f"{kind} {len(self._model.jobs)}", kind))
        line = trace.line(kind, dice)
        known.id = self._insist(
            lambda: self._instance.submit(line, name=known.name, client=self._client)
        )
        return known

    def _insist(self, ask):
        """A user whose command says that jobd is not running tries again, once it is."""

        def answer():
            with contextlib.suppress(NotRunning):
                return ask()

        return wait_until(answer, PATIENCE)

    def _await_begun(self, known):
        wait_until(
            lambda: any(
                line.startswith(f"b {known.id} ") for line in self._instance.lines(trace.FILE)
            ),
            PATIENCE,
        )

    def _let_all_finish(self):
        ids = [known.id for known in self._model.jobs]
        chosen = Selector(ids=follow.ranges(ids))
        self._insist(lambda: follow.until_finished(self._client, chosen, timeout=PATIENCE).done)

    def _check(self):
        traces = trace.read(self._instance.lines(trace.FILE))
        yield from checks.settled(lambda: list(checks.nobody_is_left(self._instance)))
        self._found = found = checks.read(self._instance.paths.database)
        yield from checks.all_of(found, self._model, traces, self._instance.paths)


def _chosen(known):
    return Selector(ids=[(known.id, known.id)])


def table():
    """Play all of them and print a row per point. True: all held."""
    print(f"{'point':16} {'in':11}" + "".join(f"{who:>14}" for who in failpoints.WHO))
    held = True
    for point, owner in PLACES:
        if point in OTHERS[Instance.engine]:
            continue
        words = []
        for who in failpoints.WHO:
            word, good = _one(point, who)
            held = held and good
            words.append(word)
        print(f"{point:16} {owner:11}" + "".join(f"{word:>14}" for word in words), flush=True)
    return held


def _one(point, who):
    if (point, who) in IMPOSSIBLE:
        return "-", True
    with TemporaryDirectory(prefix="jobd-point-", dir="/tmp") as base:
        instance = Instance(Path(base) / "jobd", Path(base) / "work")
        scene = Scene(instance, point, who)
        try:
            wrong = scene.wrong()
        finally:
            instance.close()
    for text in wrong:
        print(f"    {point} {who}: {text}")
    if not scene.hit:
        return "NOT REACHED", False
    word = f"held, {scene.lost} lost" if scene.lost else "held"
    return ("BROKEN", False) if wrong else (word, True)
