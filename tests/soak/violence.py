"""What is done to daemon and supervisor, and how soon the next daemon answers."""

import contextlib
import os
import signal
import time

from msgspec.structs import replace

from jobd.admin import control
from jobd.client.client import Client
from jobd.contract.errors import JobdError
from jobd.contract.models import Status
from jobd.contract.paths import is_supervised
from jobd.system import linux
from tests.helpers import wait_until
from tests.slurm_cluster import NODES
from tests.soak.model import Blow

_PATIENCE = 60.0
_HANGS_AFTER = 1.0
"""Seconds of silence after which this script takes a daemon for hung."""


class Violence:
    """Each method is one blow; afterwards the next daemon answers."""

    def __init__(self, instance, model, dice, account, disk, cluster=None):
        """`disk`: that of the instance, None where it has none of its own. `cluster`: that on
        which its jobs run, if they do.
        """
        self._cluster = cluster
        self._instance = instance
        self._model = model
        self._dice = dice
        self._account = account
        self._disk = disk
        self.kills = 0
        self._blows = [
            (self.daemon, 8), (self.supervisor, 5), (self.both, 5), (self.daemon_twice, 4),
            (self.while_supervisor_halts, 3), (self.supervisor_while_daemon_halts, 2),
            (self.renew, 5), (self.renew_and_kill, 3), (self.hang, 2), (self.pause, 2),
            (self.shut_down, 1), *([(self.full_disk, 3)] if disk else []),
            # What runs on a cluster outlives a boot of this machine.
            *([(self.controller, 4), (self.node_daemon, 4), (self.node, 3), (self.step, 3)]
              if cluster else [(self.reboot, 1)]),
        ]  # fmt: skip
        Status.about = replace(Status.about, patience=_HANGS_AFTER)

    def strike(self):
        blows, weights = zip(*self._blows, strict=True)
        (blow,) = self._dice.choices(blows, weights)
        self._model.count(f"blow: {blow.__name__.replace('_', ' ')}")
        if self._cluster is not None:
            self._cluster.resume()
        with self._model.span(self._model.strikes):
            blow()
            self.check_alive(blow.__name__)

    # --- blows ----------------------------------------------------------------------------

    def daemon(self):
        old = self._status()
        self._kill(old.pid)
        self._time("daemon", old)

    def supervisor(self):
        old = self._status()
        self._kill(old.supervisor_pid)
        self._time("supervisor", old)

    def both(self):
        """At once, or in a row that is quicker than anybody can react."""
        old = self._status()
        first = self._dice.choice([old.supervisor_pid, old.pid])
        with self._blow():
            self._kill(first)
            if self._dice.random() < 0.5:
                time.sleep(self._dice.random() / 20)
            self._kill_all()
            self._again()

    def daemon_twice(self):
        """Killed again, somewhere on the way to an answer."""
        old = self._status()
        self._kill(old.pid)
        time.sleep(self._dice.random() * 0.4)
        for child in linux.children_of(old.supervisor_pid):
            if child.pid != old.pid and _runs(child.pid, b"jobd.daemon"):
                self._kill(child.pid)
        self._time("daemon, twice", old)

    def while_supervisor_halts(self):
        """Jobs end, and nobody is there."""
        old = self._status()
        with self._halted(old.supervisor_pid):
            self._kill(old.pid)
            time.sleep(self._dice.random() / 2)
        self._time("daemon, supervisor halted", old)

    def supervisor_while_daemon_halts(self):
        old = self._status()
        with self._halted(old.pid):
            self._kill(old.supervisor_pid)
            time.sleep(self._dice.random() / 2)
        self._time("supervisor, daemon halted", old)

    def renew(self):
        began = time.monotonic()
        with self._account.ordered("renew"):
            control.restart(self._instance.paths)
        self._model.answered_after.append(("jobd restart", time.monotonic() - began))

    def renew_and_kill(self):
        """The one or the other dies on the way from the old pair to the new one."""
        old = self._status()
        with (
            self._account.ordered("renew"),
            Client(self._instance.paths.socket) as client,
            contextlib.suppress(JobdError),
        ):
            client.renew()
        time.sleep(self._dice.random() * 0.3)
        with self._blow():
            # The supervisor may have no child just now: then both are dead.
            victim = self._dice.choice([old.pid, old.supervisor_pid])
            if _runs(victim, b"jobd."):
                self._kill(victim)
            self._again()

    def hang(self):
        old = self._status()
        began = time.monotonic()
        # Its supervisor kills it, unless it goes on in time and leaves.
        self._account.killed(old.pid)
        with self._model.span(self._model.halts), self._account.ordered("renew"):
            os.kill(old.pid, signal.SIGSTOP)
            found = control.restart(self._instance.paths)
        self.kills += 1
        if found.pid == old.pid:
            self._model.report("a daemon that hangs was not replaced")
        self._model.answered_after.append(("daemon hangs", time.monotonic() - began))

    def pause(self):
        """A daemon that does not get on for a while, as on a machine that swaps."""
        old = self._status()
        with self._halted(old.pid):
            time.sleep(self._dice.random())

    def reboot(self):
        """As far as the instance can tell: another boot id, and no run table is true."""
        with self._blow():
            self._kill_all()
            with open(self._instance.paths.run_table, "r+b") as table:
                table.seek(8)
                table.write(b"another boot".ljust(56, b"\0"))
            (self._instance.paths.state / "jobd.boot").write_bytes(b"another boot")
            self._again()

    def shut_down(self):
        with self._blow(), self._model.span(self._model.shutdowns):
            with self._account.ordered("stop"):
                self._instance.jobd("stop", "--now", code=None)
            self._again()

    def full_disk(self):
        """For a while, and it is filled up again when somebody makes room; kills within."""
        with self._model.span(self._model.full):
            for _ in range(self._dice.randint(2, 8)):
                self._disk.fill()
                time.sleep(self._dice.random() / 2)
                if self._dice.random() < 0.2:
                    old = self._status()
                    self._kill(old.pid)
                    self._time("daemon, disk full", old)
            self._disk.make_room()
            began = time.monotonic()
            wait_until(lambda: self._status().error is None, _PATIENCE)
            self._model.answered_after.append(("disk full, then room", time.monotonic() - began))

    def controller(self):
        """slurmctld: what it had not saved yet it forgets."""
        with self._blow_there("slurmctld"):
            self._again_there("slurmctld")

    def node_daemon(self):
        """slurmd: what it has started goes on."""
        self._again_there(self._dice.choice(NODES))

    def node(self):
        """All of it, with what runs there: Slurm finds that out, or hears it from its slurmd."""
        name = self._dice.choice(NODES)
        with self._blow_there(name):
            began = time.monotonic()
            self._cluster.fail(name)
            self.kills += 1
            time.sleep(self._dice.random() * 3)
            self._cluster.start(name)
            self._model.answered_after.append(("node", time.monotonic() - began))

    def step(self):
        """What sees to a job on its node, if there is any: the job goes on, and nobody says so."""
        # What is never to end by itself nobody could end any more.
        steps = [
            pid for pid, what in self._cluster.processes().items()
            if "slurmstepd" in what and not any("canary" in _command(one) for one in _below(pid))
        ]  # fmt: skip
        if steps:
            step = self._dice.choice(steps)
            struck = frozenset(filter(None, map(_attempt_of, _below(step))))
            with self._blow_there("step", struck), contextlib.suppress(ProcessLookupError):
                os.kill(step, signal.SIGKILL)
                self.kills += 1

    # --- their tools ------------------------------------------------------------------------

    @contextlib.contextmanager
    def _blow(self):
        """In between an outcome may be lost."""
        with self._model.span(self._model.blows):
            yield

    @contextlib.contextmanager
    def _blow_there(self, what, struck=frozenset()):
        """In between and behind it a cluster may lose what this has struck."""
        with self._model.span(self._model.there, Blow, what=what, struck=struck):
            yield

    @contextlib.contextmanager
    def _halted(self, pid):
        with self._model.span(self._model.halts):
            os.kill(pid, signal.SIGSTOP)
            yield
            os.kill(pid, signal.SIGCONT)

    def _again_there(self, name):
        began = time.monotonic()
        self._cluster.kill(name)
        self.kills += 1
        time.sleep(self._dice.random())
        self._cluster.start(name)
        self._model.answered_after.append((f"{name.rstrip('123')}", time.monotonic() - began))

    def _status(self):
        return self._instance.answers()

    def _kill(self, pid):
        self._account.killed(pid)
        os.kill(pid, signal.SIGKILL)
        self.kills += 1

    def _kill_all(self):
        """Until nobody holds the lock: whichever has become supervisor meanwhile."""

        def gone():
            # By their environment: their arguments say nothing of the instance.
            for pid, command in self._instance.processes().items():
                if "jobd.daemon" in command or "jobd.supervisor" in command:
                    self._account.killed(pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            return not is_supervised(self._instance.paths.socket)

        self.kills += 1
        wait_until(gone, _PATIENCE)

    def _again(self):
        """Start it as a user would, unless somebody has survived; he answers in his own time."""
        began = time.monotonic()
        self._instance.jobd("start", "--workers", "4")
        self._model.answered_after.append(("jobd start", time.monotonic() - began))

    def _time(self, what, old):
        """From the last blow to the first answer of another daemon."""
        began = time.monotonic()
        self._instance.answers_anew(old.pid)
        self._model.answered_after.append((what, time.monotonic() - began))

    def check_alive(self, what):
        found = self._status()
        if linux.stat_of(found.supervisor_pid) is None:
            self._model.report(f"after {what}: no supervisor")


def _below(pid):
    """Its descendants."""
    for child in linux.children_of(pid):
        yield child.pid
        yield from _below(child.pid)


def _attempt_of(pid):
    """Job and number of the attempt to which it belongs; None: to none."""
    variables = environment(pid)
    job, attempt = variables.get("JOBD_JOB_ID"), variables.get("JOBD_ATTEMPT")
    return (int(job), int(attempt)) if job and attempt else None


def _command(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline") as file:
        return file.read()
    return ""


def environment(pid):
    """Of a process; empty where it has gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return {}
    pairs = (os.fsdecode(entry).partition("=") for entry in entries)
    return {name: value for name, _, value in pairs}


def _runs(pid, word):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return word in file.read()
    except OSError:
        return False
