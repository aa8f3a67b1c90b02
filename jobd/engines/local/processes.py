"""Processes of this machine, once they run: those we started, and those that were found."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from jobd.core.transitions import Outcome, signal_name
from jobd.core.usage import Usage
from jobd.engines.base import Process, Refusal
from jobd.engines.local.process_snapshot import Census, Survey
from jobd.engines.local.process_tree import Family, refusals, send
from jobd.engines.supervisor import Supervisor
from jobd.system import linux
from jobd.system.clock import boot_us, offset_us
from jobd.system.linux import Exit, Stat
from jobd.system.process_usage import usage_of

N = TypeVar("N", int, float)
log = logging.getLogger(__name__)
_LOST: Final = Outcome(lost=True)
_INEXACT_KB: Final = 1024
"""The kernel counts memory for each processor apart, and adds that up now and then."""
_SAMPLE_MS: Final = 1000
"""Between two looks at what a process uses that is nobody's child."""
_REAPED_WITHIN_MS: Final = 2000
"""How long the last parent of a found process (init, as a rule) may take to reap it."""
_TOLD_WITHIN_S: Final = 2.0
"""How long the supervisor may take to say when it saw the end of a found process. One of an earlier
version does not say it.
"""
_HALTING: Final = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})


def _is_reaped(pidfd: int) -> bool:
    """Whether the pid may be another's by now."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except PermissionError:
        return False
    except OSError:
        return True
    return False


def pidfd_of(pid: int) -> int | None:
    """A handle of a process; None: it is gone. Raises: OSError, as `linux.stat_of`."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in linux.SHORTAGES:
            raise
        return None


def outcome_of(ended: Exit, at: int | None = None, floor_kb: int = 0) -> Outcome:
    """`at`: when, microseconds since boot; None: just now. `floor_kb`: a peak of memory that is not
    above it is that of whoever spawned the process, and its own is not known.
    """
    peak = ended.max_rss_kb
    return Outcome(
        exit_code=ended.exit_code,
        signal=None if ended.signal is None else signal_name(ended.signal),
        cpu_s=ended.cpu_s,
        max_rss_kb=None if peak is None or peak <= floor_kb + _INEXACT_KB else peak,
        at=None if at is None else at + offset_us(),
    )


def usages(processes: Sequence[Process], survey: Survey) -> list[Usage]:
    """Of each, with one look for all. Raises: OSError (no descriptor is left)."""
    census, on_gpus = survey.take(), survey.gpus.memory_by_pid()
    return [one.usage(census, on_gpus) for one in processes if isinstance(one, LocalProcess)]


def _sum(parts: Iterable[N | None]) -> N | None:
    """None: nothing is known of any."""
    known = [part for part in parts if part is not None]
    return sum(known[1:], known[0]) if known else None


class LocalProcess:
    """What all our processes have in common: how they are signalled and ended.

    `wait` belongs to one thread; the rest may come from any. Promises that no signal ever reaches
    whoever has been given a pid anew.
    """

    engine_id = None

    def __init__(self, pid: int, token: str, survey: Survey) -> None:
        self.pid = pid
        self.token = token
        self._survey = survey
        self._family = Family(token, survey)
        self._lock = threading.Lock()
        self._leader: int | None = pid
        """The pid while it cannot be anybody else's."""
        self.refusals: Sequence[Refusal] = ()
        self._used = Usage()
        """What was seen of it, up to the latest look."""

    @property
    def host(self) -> None:
        """None: where the engine's `host` says."""
        return None

    def age(self) -> float:
        return linux.age_of(self.pid) or 0.0

    def leaders_usage(self) -> Usage:
        """Of its leader, and of the children that this has waited for."""
        raise NotImplementedError

    def usage(self, census: Census, on_gpus: Mapping[int, int] | None) -> Usage:
        """Of all its processes together. `on_gpus`: as `Gpus.memory_by_pid`.

        Not of a child that has ended and that nobody has waited for, nor of one whose parent did
        not wait: of those the kernel keeps nothing that could be asked for.
        """
        leader = self.leaders_usage()
        with self._lock:
            members = self._family.living(self._living_leader(), census)
        others = [usage_of(member.pid) for member in members if member.pid != self.pid]
        parts = [leader, *(Usage(*found) for found in others if found is not None)]
        on_gpu = [] if on_gpus is None else [on_gpus.get(member.pid, 0) for member in members]
        total = Usage(
            cpu_s=_sum(part.cpu_s for part in parts),
            max_rss_kb=max((p.max_rss_kb for p in parts if p.max_rss_kb), default=None),
            rss_kb=_sum(part.rss_kb for part in parts),
            gpu_memory_kb=sum(on_gpu) or None,
        )
        self._used = used = total.at_least(self._used)
        return used

    def _living_leader(self) -> int | None:
        """The pid, as long as it is nobody else's. Under the lock."""
        return self._leader

    def signal_all(self, number: int, census: Census) -> None:
        """Its group, and the members that the census has found outside of it."""
        # Under the lock, so that the leader is not reaped, and its pid reused, in between. Those
        # outside come from before the signal: once their parents are dead, nothing leads to them.
        with self._lock:
            group = self._leader
            members = self._family.living(group, census)
            if group is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, number)
        self._send(members, [stat for stat in members if stat.pgrp != group], number)
        self.refusals = refusals(members)

    def _send(self, members: list[Stat], targets: list[Stat], number: int) -> None:
        send(targets, number)
        if number and number not in _HALTING:
            # What is halted would not see the signal before it goes on.
            send([stat for stat in members if stat.state == "T"], signal.SIGCONT)

    def end(self, deadline: float) -> None:
        left = self._family.end(self._leader, deadline)
        self.refusals = refused = refusals(left)
        for stat in left if not refused else ():
            log.error("process %d of a stopped job does not end (state %s)", stat.pid, stat.state)

    def reap(self) -> None:
        with self._lock:
            self._leader = None
            self._release()

    def _release(self) -> None:
        raise NotImplementedError


class Child(LocalProcess):
    """Started by this daemon."""

    def __init__(self, pid: int, token: str, survey: Survey, floor_kb: int = 0) -> None:
        super().__init__(pid, token, survey)
        self._floor_kb = floor_kb

    def wait(self) -> Outcome:
        ended = linux.look(self.pid, block=True)
        assert ended is not None
        return outcome_of(ended, floor_kb=self._floor_kb)

    def leaders_usage(self) -> Usage:
        with self._lock:
            found = None if self._leader is None else usage_of(self._leader)
        return Usage() if found is None else Usage(*found)

    def _release(self) -> None:
        linux.reap(self.pid)


class _Stranger(LocalProcess):
    """No child of ours: a handle keeps it in sight, and looks at it now and then tell its use."""

    def __init__(
        self, pid: int, token: str, survey: Survey, pidfd: int | None, used: Usage | None = None
    ) -> None:
        super().__init__(pid, token, survey)
        self.pidfd = pidfd
        self._is_kept = False
        self._leaders = used or Usage()
        self.leaders_usage()

    def leaders_usage(self) -> Usage:
        """As far as it could be seen while it lived."""
        found = usage_of(self.pid)
        # Asked afterwards: if it is not reaped now, it was not when it was looked at.
        if found is not None and not self._is_gone():
            peak = found.max_rss_kb or self._leaders.max_rss_kb
            self._leaders = Usage(found.cpu_s, peak, found.rss_kb)
            return self._leaders
        return self._leaders._replace(rss_kb=None)

    def _living_leader(self) -> int | None:
        return None if self._is_gone() else self._leader

    def _is_gone(self) -> bool:
        """Whether its pid may be another's by now, as far as the handle tells."""
        return self.pidfd is not None and _is_reaped(self.pidfd)

    def keep(self) -> int | None:
        """The handle, for whoever comes after this process: from now on it stays open, whatever
        becomes of the job meanwhile. None: there is none.
        """
        with self._lock:
            self._is_kept = True
            return self.pidfd

    def leave(self) -> None:
        """Look at it no longer; whatever is said of it from here on is recorded nowhere."""
        pidfd, self.pidfd = self.pidfd, None
        if pidfd is not None and not self._is_kept:
            os.close(pidfd)


class Adopted(_Stranger):
    """Started by an earlier daemon; now a child of the supervisor, which says how it ended.

    The handle is for the day when the supervisor dies, and its children's statuses with it.
    """

    def __init__(
        self,
        pid: int,
        token: str,
        survey: Survey,
        pidfd: int | None,
        link: Supervisor,
        floor_kb: int = 0,
    ) -> None:
        super().__init__(pid, token, survey, pidfd)
        self._link = link
        self._floor_kb = floor_kb

    def wait(self) -> Outcome:
        return outcome_of(*self._link.wait(self.pid), self._floor_kb)

    def signal_all(self, number: int, census: Census) -> None:
        with self._lock:
            if self._is_gone():
                # Not by us: the supervisor has died, and the pid may lead another's group by now.
                self._leader = None
        super().signal_all(number, census)

    def _release(self) -> None:
        self._link.reap(self.pid)
        self.leave()


class Found(_Stranger):
    """Alive after both its parents died: watched, and its exit code is the kernel's to tell."""

    def __init__(
        self,
        pid: int,
        token: str,
        survey: Survey,
        pidfd: int,
        used: Usage | None = None,
        link: Supervisor | None = None,
    ) -> None:
        """`link`: to the supervisor: it has such a handle, too, and may see the end before us."""
        super().__init__(pid, token, survey, pidfd, used)
        self._link = link

    def wait(self) -> Outcome:
        while not self._ended(_SAMPLE_MS):
            self.leaders_usage()
        at = boot_us()
        used = self.leaders_usage()
        with self._lock:
            self._leader = None
        if (pidfd := self.pidfd) is None:
            return _LOST
        # The kernel tells how it ended once its last parent has reaped it (POLLHUP).
        poll = select.poll()
        poll.register(pidfd, 0)
        poll.poll(_REAPED_WITHIN_MS)
        ended = linux.exit_of(pidfd)
        at = self._seen_first(at)
        if ended is None:
            return replace(_LOST, at=at + offset_us())
        return outcome_of(ended._replace(cpu_s=used.cpu_s, max_rss_kb=used.max_rss_kb), at)

    def _seen_first(self, at: int) -> int:
        """It ended then at the latest, microseconds since boot; no daemon may have lived before."""
        told = None if self._link is None else self._link.gone_at(self.token, _TOLD_WITHIN_S)
        return at if told is None else min(at, told)

    def signal_all(self, number: int, census: Census) -> None:
        # Its leader may be reaped by others at any moment, so no group: each by its own handle.
        # What the census says of its session holds if it has not ended up to now.
        leader = None if self._ended(0) else self._leader
        members = self._family.living(leader, census)
        self._send(members, members, number)
        self.refusals = refusals(members)

    def _ended(self, within_ms: int) -> bool:
        if (pidfd := self.pidfd) is None:
            return True
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(within_ms))

    def _release(self) -> None:
        self.leave()
        if self._link is not None:
            self._link.let_go(self.token)
