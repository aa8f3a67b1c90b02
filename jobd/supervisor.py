"""The supervisor: parent of the daemon, and of its jobs when the daemon has died.

Theory of operation. It holds the lock of the instance, is child subreaper, and starts the daemon.
While a daemon lives the supervisor only reaps orphans. When the daemon dies, the kernel hands all
its children to us: jobs that run, and jobs that have ended and whose status is not on disk yet. A
session leader that has ended stays a zombie and is announced to the next daemon, which commits
its status and answers "reap"; other orphans are reaped at once. A job whose parents have
both died is nobody's child that we know: of it we have a handle (a pidfd), and tell when it ended.
The next daemon starts when the gate (a close-on-exec pipe of the old daemon) reaches its end: then
no spawn is half-way.

The daemon execs this module when *we* die: its jobs then stay its children. `renew` execs this
module again, so that an upgrade replaces supervisor and daemon.

Standard library only, everything imported at the start, and almost nothing that can fail.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jobd.system import handover, linux, log_file
from jobd.system.clock import boot_us
from jobd.system.failpoints import failpoint
from jobd.system.starter import Starter, notify

EXIT_CLEAN: Final = 0
EXIT_RENEW: Final = 3
"""The daemon asks us to exec ourselves and to start a fresh daemon."""
EXIT_REFUSED: Final = 4
"""The daemon has said why it cannot start, and trying again would not help."""
EXIT_GONE: Final = 5
"""As above, since there is no store any more: how a job ended will never be asked for."""
_ONE_DESCRIPTOR: Final = socket.CMSG_SPACE(struct.calcsize("i"))
LOCKED: Final = "locked"
_QUICK_DEATHS: Final = 5
"""Daemons that died before they were ready, in a row, until we give up (never with children)."""
_DEATHS_IN_STOP: Final = 5
"""Daemons that died in one stop, however long they lived, until we give up (never with children):
whoever stops them is not to wait forever.
"""
_LONGEST_PAUSE_S: Final = 10.0
"""Between two daemons that cannot start while jobs of ours live."""
HERITAGE: Final = (
    "state", "config_path", "config", "origin", "written", "ephemeral", "lock_path",
)  # fmt: skip
"""What of a plan makes an instance what it is: whoever follows keeps what there is of it."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Those that are heard, and what they mean told to the daemon."""
_PROBED_S: Final = 0.2
"""For so long at most somebody may hold the lock who only looks whether anybody does."""
_say: Final = log_file.Voice("supervisor")
_RETRY_S: Final = 1.0
"""Until the machine is asked again for what it did not give."""


class _Deaths:
    """How many daemons have died: before they were ready, in a row, and in a stop."""

    def __init__(self) -> None:
        self.quick = self.in_stop = 0


class Supervisor:
    """`plan` is what the daemon is started with; `plan["lock"]` names an open, locked file."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._starter = Starter(plan.pop("ready_fd", None))
        self._gate: int | None = plan.pop("gate", None)
        self._daemon = 0
        self._link: socket.socket | None = None
        self._deaths = _Deaths()
        self._was_ready = False
        self._announced: set[int | str] = set()
        """Pids of children and, of jobs that are none, tokens."""
        self._stopping = False
        self._congested = False
        """The daemon has not read what was sent; the rest is announced when it has."""
        self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        """Signals write to its second end and wake whoever waits at the first."""
        self._signals: list[int] = []

    def run(self) -> int:
        """Prepare → (start a daemon → serve it until it dies)* → leave."""
        linux.set_child_subreaper()
        self._note_pid()
        self._catch_signals()
        if self._gate is not None:
            failpoint("after-exec")
        while True:
            self._pass_gate()
            status = self._serve() if self._start_daemon() else 1
            if status < 0:
                _say(f"the daemon, pid {self._daemon}, was ended by signal {-status}")
            self._daemon = 0
            failpoint("daemon-died")
            if status == EXIT_RENEW:
                self._renew()
            if status == EXIT_CLEAN or (why := self._hopeless(status)):
                self._starter.tell("failed the daemon ended before it was ready")
                if status == EXIT_CLEAN:
                    return 0
                _say(f"no daemon follows: {why}")
                return 1
            self._back_off()

    def tell(self, line: str) -> None:
        """To whoever started us, where it does not run at all."""
        self._starter.tell(line)

    # --- preparation ------------------------------------------------------------------------

    def _note_pid(self) -> None:
        """For `jobd stop` and `restart` when the daemon hangs; a full disk is no reason to fail."""
        try:
            os.ftruncate(self._plan["lock"], 0)
            os.pwrite(self._plan["lock"], b"%d\n" % os.getpid(), 0)
        except OSError:
            return

    def _catch_signals(self) -> None:
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._note_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def _note_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _pass_gate(self) -> None:
        """Wait until no process is left that could still become a job of the old daemon."""
        if self._gate is None:
            return
        failpoint("before-gate")
        while True:
            self._note_ends(self._children())
            ready = self._await({self._gate: select.POLLIN})
            if self._gate in ready and not os.read(self._gate, 1):
                break
        os.close(self._gate)
        self._gate = None
        failpoint("after-gate")

    # --- the daemon -------------------------------------------------------------------------

    def _start_daemon(self) -> bool:
        """False: the machine has no process or no descriptor left for it just now."""
        self._was_ready = False
        self._announced = set()
        self._congested = False
        self._starter.watchdog.forget()
        with contextlib.ExitStack() as shut, contextlib.ExitStack() as kept:
            try:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                shut.callback(theirs.close)
                kept.callback(ours.close)
                gate_r, gate_w = os.pipe2(os.O_CLOEXEC)
                shut.callback(os.close, gate_w)
                kept.callback(os.close, gate_r)
                self._daemon = self._spawn_daemon(theirs.fileno(), gate_r, gate_w)
            except OSError as error:
                _say(f"cannot start a daemon just now: {error.strerror}")
                return False
            kept.pop_all()
        self._plan["fresh"] = False
        self._gate, self._link = gate_r, ours
        return True

    def _spawn_daemon(self, link: int, gate_r: int, gate_w: int) -> int:
        """Raises: OSError."""
        told = handover.opened(dict(self._plan, link=link, gate_r=gate_r, gate_w=gate_w))
        inherited = [told, link, gate_r, gate_w, *_descriptors(self._plan)]
        for fd in inherited:
            os.set_inheritable(fd, True)
        failpoint("before-daemon")
        try:
            return os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-m", "jobd.daemon", str(told)],
                os.environ,
                setsid=True,
                setsigmask=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1],
            )
        finally:
            failpoint("after-daemon")
            for fd in inherited:
                os.set_inheritable(fd, False)
            os.close(told)

    def _serve(self) -> int:
        """Look after children and messages until the daemon has ended; its exit status."""
        status = self._look_after_children()
        synced = False
        while status is None:
            synced = synced or (not self._congested and self._send({"synced": True}))
            wanted = select.POLLIN | (select.POLLOUT if self._congested else 0)
            link = -1 if self._link is None else self._link.fileno()
            ready = self._await({link: wanted} if self._link is not None else {})
            self._congested = self._congested and not ready.get(link, 0) & ~select.POLLIN
            self._pass_signals_on()
            if link in ready:
                self._receive()
            status = self._look_after_children()
        # What it has said last came before its end, and may have come behind our look.
        self._receive()
        self._close_link()
        return status

    def _await(self, wanted: Mapping[int, int], seconds: float | None = None) -> dict[int, int]:
        """Sleep until one of these descriptors is ready (poll(2)), a signal comes, or a job ends
        that is no child of ours, `seconds` at most; which are ready for what.
        """
        poll = select.poll()
        for descriptor, events in {self._wake[0]: select.POLLIN, **wanted}.items():
            poll.register(descriptor, events)
        for handle in self._handles():
            poll.register(handle, select.POLLIN)
        spans = [span for span in (seconds, self._starter.watchdog.left) if span is not None]
        ready = dict(poll.poll(math.ceil(min(spans) * 1000) if spans else None))
        self._drain_wakeups()
        self._watch()
        return ready

    def _watch(self) -> None:
        """Where systemd has a watchdog: we live, and a daemon that does not is replaced."""
        watchdog = self._starter.watchdog
        if not watchdog.is_due():
            return
        notify("WATCHDOG=1")
        if self._daemon and watchdog.is_hung():
            _say(f"the daemon, pid {self._daemon}, has not answered for long; it is replaced")
            watchdog.forget()
            os.kill(self._daemon, signal.SIGKILL)
        elif self._was_ready and not self._congested and self._send({"alive": True}):
            watchdog.asked()

    def _look_after_children(self) -> int | None:
        """Reap orphans, announce jobs that ended; the daemon's status once it has ended."""
        status, children = None, self._children()
        self._note_ends(children)
        for child in children:
            if child.state not in "ZX":
                continue
            if child.pid == self._daemon:
                _, status = os.waitpid(child.pid, 0)
                self._note_death(child.pid)
            elif child.session != child.pid:
                linux.reap(child.pid)
            elif child.pid not in self._announced and not self._congested:
                self._announce(child.pid)
        for token in self._plan.get("pidfds", {}).keys() & self._ends().keys() - self._announced:
            if not self._congested and self._send({"gone": token, "at": self._ends()[token]}):
                self._announced.add(token)
        return status if status is None else os.waitstatus_to_exitcode(status)

    def _children(self) -> list[linux.Stat]:
        """Looked for as long as it takes: without a descriptor to look with, nobody is given up."""
        while True:
            try:
                return linux.children_of(os.getpid())
            except OSError as error:
                _say(f"cannot look after the jobs just now: {error.strerror}")
                time.sleep(_RETRY_S)

    def _note_death(self, pid: int) -> None:
        """Whoever began later is none of its jobs. Of one that was never ready nothing is noted:
        what is half-way in the run table is, as a rule, from one that was.
        """
        if self._was_ready:
            self._plan["last_daemon"] = (pid, linux.ticks())

    def _note_ends(self, children: Sequence[linux.Stat]) -> None:
        """When it was seen first that they had ended, and others that there are handles of,
        microseconds since boot: /proc does not tell.

        In the plan, so that whoever takes our place knows it, too. The keys are JSON's: the pid of
        a child, of others the token. The daemon leads a session, too, and nobody would ever take
        its end out of there: a job that gets its number later would have ended before it began.
        """
        ends, now = self._ends(), boot_us()
        for child in children:
            if child.state in "ZX" and child.session == child.pid != self._daemon:
                ends.setdefault(str(child.pid), now)
        if handles := self._handles():
            poll = select.poll()
            for handle in handles:
                poll.register(handle, select.POLLIN)
            for handle, _ in poll.poll(0):
                ends.setdefault(handles[handle], now)

    def _handles(self) -> dict[int, str]:
        """Of jobs that are no children of ours and live, as far as we know: pidfds, and tokens.

        What other engines than the local one leave has their name in front, and is none.
        """
        left, ends = self._plan.get("pidfds", {}), self._ends()
        return {fd: name for name, fd in left.items() if ":" not in name and name not in ends}

    def _ends(self) -> dict[str, int]:
        ends: dict[str, int] = self._plan.setdefault("ends", {})
        return ends

    def _announce(self, pid: int) -> None:
        ended = linux.look(pid, block=False)
        failpoint("before-announce")
        # Beside it, not in it: an older daemon takes no other fields.
        told = {"at": self._ends().get(str(pid))}
        if ended is not None and self._send({"ended": ended._asdict(), **told}):
            self._announced.add(pid)
            failpoint("after-announce")

    def _send(self, message: dict[str, Any]) -> bool:
        if self._link is None:
            return False
        try:
            # Never waiting: the daemon may itself be waiting for us to listen.
            self._link.send(json.dumps(message).encode(), socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._congested = True
            return False
        except OSError:
            return False
        return True

    def _receive(self) -> None:
        """All messages that wait, before the children are looked at again."""
        while self._link is not None:
            try:
                # Not socket.recv_fds: it passes no flags on.
                data, beside, _, _ = self._link.recvmsg(
                    65536, _ONE_DESCRIPTOR, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                data, beside = b"", []
            if data:
                self._hear(json.loads(data), beside)
            else:
                self._close_link()

    def _hear(self, message: dict[str, Any], beside: Sequence[tuple[int, int, bytes]] = ()) -> None:
        if "reap" in message:
            failpoint("before-let-go")
            linux.reap(message["reap"])
            failpoint("after-let-go")
            self._announced.discard(message["reap"])
            self._ends().pop(str(message["reap"]), None)
        elif "ready" in message:
            self._was_ready = self._plan["established"] = True
            self._deaths.quick = 0
            failpoint("ready")
            self._starter.tell(f"ready {self._daemon}")
        elif "alive" in message:
            self._starter.watchdog.answered()
        elif "draining" in message:
            self._note_drain(message["until"])
            # Not STOPPING=1: systemd would end us once it has waited for its own time.
            notify("STATUS=Takes no more jobs, and waits for those that run")
        elif "lock" in message:
            # Another file, since the one that we have locked was deleted.
            for lock in _given(beside):
                os.dup2(lock, self._plan["lock"], inheritable=False)
                os.close(lock)
            self._note_pid()
        elif "log" in message:
            log_file.follow(message["log"])
        elif "failed" in message:
            self._starter.tell(f"failed {message['failed']}")
        else:
            self._hear_of_others(message, beside)

    def _hear_of_others(
        self, message: dict[str, Any], beside: Sequence[tuple[int, int, bytes]]
    ) -> None:
        """Of jobs that are no children of ours, or not yet."""
        if "hold" in message:
            for handle in _given(beside):
                self._let_go(message["hold"])
                self._plan.setdefault("pidfds", {})[message["hold"]] = handle
        elif "let_go" in message:
            self._let_go(message["let_go"])
        elif "unsaved" in message:
            self._plan["unsaved"] = message["unsaved"]

    def _let_go(self, token: str) -> None:
        """The end of a job that is no child of ours is on disk."""
        handle = self._plan.get("pidfds", {}).pop(token, None)
        if handle is not None:
            with contextlib.suppress(OSError):
                os.close(handle)
        self._announced.discard(token)
        self._ends().pop(token, None)

    def _close_link(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    # --- between two daemons ------------------------------------------------------------------

    def _hopeless(self, status: int) -> str | None:
        """Why nobody is to follow the daemon that ended so; None: another one is started.

        Also in a stop, and without children: only a daemon knows of jobs that run elsewhere, and
        tells those who wait how theirs have ended. One that is done with that has ended clean.
        """
        self._deaths.quick += not self._was_ready
        children = self._children()
        if any(child.state not in "ZX" or status != EXIT_GONE for child in children):
            return None
        if status in (EXIT_REFUSED, EXIT_GONE):
            return "the last one could not start"
        if self._stopping:
            self._deaths.in_stop += 1
            if not self._plan.get("established"):
                return "the last one was to stop, and no job is left to wait for"
            if self._deaths.in_stop >= _DEATHS_IN_STOP:
                return f"{self._deaths.in_stop} daemons died during one stop"
        if self._deaths.quick >= _QUICK_DEATHS:
            return f"{self._deaths.quick} in a row ended before they were ready"
        return None

    def _back_off(self) -> None:
        """Only daemons that died before they were ready are waited for."""
        if self._was_ready:
            return
        pause = min(0.1 * 2 ** min(self._deaths.quick, 10), _LONGEST_PAUSE_S)
        end = time.monotonic() + pause
        while (left := end - time.monotonic()) > 0:
            self._await({}, left)
            self._note_ends(self._children())
            self._pass_signals_on()

    def _renew(self) -> None:
        # What was noted by now goes into the plan; what comes later waits for whoever follows us.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._pass_signals_on()
        plan = dict(self._plan, gate=self._gate)
        failpoint("before-renew")
        try:
            become_supervisor(plan)
        except OSError as error:
            # An interpreter that is not there any more, for example. The jobs are ours: we stay.
            _say(f"cannot renew the supervisor: {error.strerror}")
            signal.pthread_sigmask(signal.SIG_SETMASK, [])

    # --- signals ------------------------------------------------------------------------------

    def _drain_wakeups(self) -> None:
        try:
            while os.read(self._wake[0], 512):
                pass
        except BlockingIOError:
            return

    def _pass_signals_on(self) -> None:
        """TERM and INT drain the daemon, HUP makes it read its configuration again; USR1 ends one
        that hangs, so that a new one starts.

        The second order to drain goes by INT: a daemon that has not heard the first one yet would
        hear two of one number as one (signal(7)), and wait for jobs that it is to end.
        """
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGHUP:
                self._signal_daemon(number)
                continue
            if number == signal.SIGUSR1:
                self._signal_daemon(signal.SIGKILL)
                continue
            self._signal_daemon(signal.SIGINT if self._stopping else signal.SIGTERM)
            # Also for a daemon that is yet to come: the second order is to end what runs now.
            self._note_drain(boot_us() if self._stopping else None)

    def _note_drain(self, until: int | None) -> None:
        """`until`: when what runs is to be ended, microseconds since boot; the earliest counts."""
        known = [time for time in (until, self._plan.get("drain_until")) if time is not None]
        self._plan["drain_until"] = min(known, default=None)
        self._stopping = self._plan["draining"] = True

    def _signal_daemon(self, number: int) -> None:
        if self._daemon:
            os.kill(self._daemon, number)


def _given(beside: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came beside a message (SCM_RIGHTS of unix(7))."""
    return [struct.unpack("i", descriptor)[0] for _, _, descriptor in beside]


def _descriptors(plan: dict[str, Any]) -> list[int]:
    """Those that the plan names and that go from process to process with it.

    `pidfds`: what engines leave to the next daemon. The local one leaves handles of jobs whose
    parent has died; through them the kernel still tells how they ended.
    """
    named = [plan[key] for key in ("lock", "gate", "ready_fd") if plan.get(key) is not None]
    return [*named, *plan.get("pidfds", {}).values()]


def become_supervisor(plan: dict[str, Any]) -> None:
    """Exec this module in our place: children, lock and gate stay ours. Raises: OSError."""
    told = handover.opened(plan)
    try:
        for fd in (told, *_descriptors(plan)):
            os.set_inheritable(fd, True)
        # Until the new program listens to them; mask and pending signals survive exec (execve(2)).
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        arguments = [sys.executable, "-P", "-m", "jobd.supervisor", str(told)]
        os.execve(sys.executable, arguments, os.environ)  # noqa: S606 - no shell is meant
    finally:
        # Only where that failed: what is started from here on holds none of them.
        os.close(told)
        for fd in _descriptors(plan):
            os.set_inheritable(fd, False)


def _plan() -> dict[str, Any]:
    """What we were told. Where that is for everybody to read, as an older version tells it, we
    take our own place once more and tell it ourselves.
    """
    plan = handover.read(sys.argv[1])
    told = handover.descriptor_in(sys.argv[1])
    if told is None:
        with contextlib.suppress(OSError):
            become_supervisor(plan)
    else:
        os.close(told)
    return plan


def _take(lock: int) -> None:
    """Raises: OSError (BlockingIOError: another supervisor, or its daemon, has it)."""
    end = time.monotonic() + _PROBED_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Clients look whether it is held by taking it for a moment.
            if time.monotonic() > end:
                raise
            time.sleep(_PROBED_S / 20)
        else:
            return


def main() -> int:
    plan = _plan()
    for name in os.listdir("/proc/self/fd"):
        # Also what a shell has left open for us: no job may hold it.
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)
    _say.as_json = plan.get("config", {}).get("log", {}).get("format") == "json"
    supervisor = Supervisor(plan)
    try:
        if "lock" not in plan:
            plan["lock"] = linux.open_lock(plan["lock_path"])
        _take(plan["lock"])
    except BlockingIOError:
        supervisor.tell(LOCKED)
        return 1
    except OSError as error:
        wrong = f"cannot use the lock {plan['lock_path']}: {error.strerror}"
        _say(wrong)
        supervisor.tell(f"failed {wrong}")
        return 1
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
