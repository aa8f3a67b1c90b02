"""The account of the end of every daemon and supervisor: one that ends without a reason is found.

A thread looks at all processes of the instance many times a second and holds a pidfd of each daemon
and supervisor. A process that goes from the one to the other (exec) is the same, and has not ended.
"""

import contextlib
import os
import re
import select
import threading
from collections import Counter
from dataclasses import dataclass, field

from jobd.admin.control import log_tail
from jobd.system import linux

_EVERY_S = 0.02
_LINES = 12
"""Of the log, with an end that nobody can account for."""
_PF_FORKNOEXEC = 0x40
_PF_KTHREAD = 0x200000
"""Of a process's flags (proc_pid_stat(5)): it has no program of its own yet; it will never have."""
_STARTED = re.compile(r" started: pid (\d+)$", re.MULTILINE)
_LEAVES = re.compile(r" leaves \((\w+)\): pid (\d+)$", re.MULTILINE)
_CANNOT_START = "cannot start: "


@dataclass
class Life:
    """A process that was a daemon or a supervisor, or the one and then the other."""

    pid: int
    parent: int
    descriptor: int
    roles: list[str] = field(default_factory=list)
    held_lock: bool = False
    ended: bool = False
    log: str = ""
    """The end of the log when its end was seen."""
    orders: tuple[str, ...] = ()
    """What had been asked for by then."""


class Account(threading.Thread):
    """`killed` and `ordered` are called by whoever does it, before it is done."""

    def __init__(self, instance):
        super().__init__(name="account", daemon=True)
        self._instance = instance
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._lives = {}
        self._all = []
        self._killed = set()
        self._orders = []
        self._strangers = {os.getpid()}
        self.counts = Counter()

    def killed(self, pid):
        with self._lock:
            self._killed.add(pid)

    @contextlib.contextmanager
    def ordered(self, what):
        """`stop` or `renew`: what ends from now on may have ended for its sake."""
        with self._lock:
            self._orders.append(what)
        yield

    def alive(self):
        """The pids of those that are there."""
        return list(self._lives)

    # --- what is seen -----------------------------------------------------------------------

    def run(self):
        while not self._over.wait(_EVERY_S):
            self.look()

    def finish(self):
        """When the last one has been stopped."""
        self._over.set()
        self.join()
        self.look()

    def look(self):
        """Who is there, what each is by now, and who has gone since the last look."""
        holder = self._holder()
        for life in self._lives.values():
            with contextlib.suppress(OSError):
                self._note_role(life, _words(life.pid), holder)
        for pid in self._new():
            with contextlib.suppress(OSError):
                self._meet(pid, holder)
        for life in list(self._lives.values()):
            if select.select([life.descriptor], [], [], 0)[0]:
                self._see_off(life)

    def _new(self):
        """Processes of the instance that were not there at the last look."""
        there = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        self._strangers &= there
        return there - self._strangers - self._lives.keys()

    def _meet(self, pid, holder):
        if _is_a_copy(pid):
            return  # still what forked it: what it is to be, a job or a daemon, is seen later
        words = _words(pid)
        if os.fsencode(self._instance.mark) not in _read(pid, "environ").split(b"\0"):
            self._strangers.add(pid)
            return
        stat = linux.stat_of(pid)
        if _role(words) is None or stat is None or stat.state in "ZX":
            return
        life = Life(pid, stat.ppid, os.pidfd_open(pid))
        self._lives[pid] = life
        self._all.append(life)
        self._note_role(life, words, holder)

    def _note_role(self, life, words, holder):
        role = _role(words)
        if role is not None and role not in life.roles[-1:]:
            life.roles.append(role)
        life.held_lock = life.held_lock or life.pid == holder

    def _holder(self):
        with contextlib.suppress(OSError, ValueError):
            return int(self._instance.paths.lock.read_text())

    def _see_off(self, life):
        os.close(life.descriptor)
        del self._lives[life.pid]
        life.ended, life.log = True, log_tail(self._instance.paths, _LINES)
        with self._lock:
            life.orders = tuple(self._orders)

    # --- what it comes to -------------------------------------------------------------------

    def wrong(self):
        """Ends that nobody can account for, each with the end of the log at that time."""
        told = self._told()
        started = {int(pid) for pid in _STARTED.findall(told)}
        left = {int(pid): why for why, pid in _LEAVES.findall(told)}
        for pid in started - {life.pid for life in self._all}:
            yield f"daemon {pid} started, and was never seen"
        for life in self._all:
            who = f"{' that was a '.join(reversed(life.roles))} {life.pid}"
            if not life.ended:
                yield f"{who} has not ended"
                continue
            reason = self._reason(life, started, left)
            self.counts[f"{life.roles[-1]}s ended: {reason}"] += 1
            if reason is None:
                yield f"{who} ended without a reason; the log then ended with:\n{life.log}"

    def _reason(self, life, started, left):
        if life.pid in self._killed:
            return "killed"
        if life.roles[-1] == "daemon":
            return self._reason_of_daemon(life, started, left)
        if not life.held_lock:
            return "refused, another one was there"
        children = [one for one in self._all if one.parent == life.pid]
        if any(left.get(one.pid) == "stopped" for one in children) and "stop" in life.orders:
            return "stopped"
        return "refused, its daemon could not start" if _CANNOT_START in life.log else None

    def _reason_of_daemon(self, life, started, left):
        why = left.get(life.pid)
        if why == "stopped" and "stop" in life.orders:
            return "stopped"
        if why == "renew" and "renew" in life.orders:
            return "renewed"
        if life.pid not in started and _CANNOT_START in life.log:
            return "refused, it could not start"
        return None

    def _told(self):
        log = self._instance.paths.log
        older = sorted(log.parent.glob(f"{log.name}.[0-9]"))
        return "".join(path.read_text(errors="replace") for path in [*older, log])


def _role(words):
    for role in ("daemon", "supervisor"):
        if f"jobd.{role}".encode() in words:
            return role
    return None


def _is_a_copy(pid):
    """Whether its command line is still that of the process that forked it."""
    flags = int(_read(pid, "stat").rpartition(b") ")[2].split()[6])
    return flags & (_PF_FORKNOEXEC | _PF_KTHREAD) == _PF_FORKNOEXEC


def _words(pid):
    return _read(pid, "cmdline").split(b"\0")


def _read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
