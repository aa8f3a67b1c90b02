"""The local engine: jobs are processes of this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from jobd.contract.directories import File, Foreign
from jobd.contract.models import Gpu
from jobd.contract.paths import Paths
from jobd.core.usage import Usage
from jobd.engines.base import (
    Attempt,
    CannotStart,
    Context,
    Fate,
    Heritage,
    Launch,
    NoResources,
    Process,
)
from jobd.engines.loading import settings_as
from jobd.engines.local import failures, spawn
from jobd.engines.local.process_snapshot import Survey, token_of
from jobd.engines.local.processes import Adopted, Child, Found, LocalProcess, pidfd_of, usages
from jobd.engines.local.run_table import Line, RunTable, is_of_this_boot
from jobd.engines.local.spawn import Program
from jobd.system import heap, linux
from jobd.system.failpoints import failpoint
from jobd.system.linux import Stat


class _Inherited(NamedTuple):
    """Of attempts whose parents have died, by token: a pid may be another's by now."""

    pidfds: dict[str, int]
    used: dict[str, Usage]
    """What they had used when the daemon before looked last."""

    @classmethod
    def of(cls, heritage: Heritage) -> _Inherited:
        used = msgspec.json.decode(heritage.data or b"{}", type=dict[str, Usage])
        return cls(dict(heritage.descriptors), used)


def _close(descriptor: int) -> None:
    """A file server tells of a full quota even now; what has started has started all the same."""
    with contextlib.suppress(OSError):
        os.close(descriptor)


class LocalSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The section `[engine.local]`: it has no keys."""


class LocalEngine:
    """Starts jobs, from any thread, and finds those that earlier daemons started.

    Promises that an attempt starts at most once, whatever dies in between: before a spawn its
    intent is in the run table, and behind it the pid.
    """

    lets_go_at_once = True
    capacity = None

    @staticmethod
    def check(settings: Mapping[str, Any]) -> None:
        """There is nothing to set."""
        settings_as(LocalSettings, settings)

    @staticmethod
    def outputs(settings: Mapping[str, Any] | None, paths: Paths) -> Path:
        """Among the instance's own files, whatever is set."""
        del settings
        return paths.output

    @staticmethod
    def ran_since_boot(paths: Paths) -> bool | None:
        """Its run table says so."""
        return is_of_this_boot(paths.run_table) if paths.run_table.exists() else None

    def __init__(self, context: Context) -> None:
        self.check(context.settings)
        self.workspace = context.workspace
        self.host = socket.gethostname()
        self._link = context.link
        self._inherited = _Inherited.of(context.heritage)
        self._survey = Survey()
        self._supervisor = os.getppid()
        self._turn = threading.Lock()
        self._closed = self._frozen = False
        self._adopted: dict[int, Adopted | Found] = {}
        self._table = RunTable(context.paths.run_table)
        self._stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    # --- starting -------------------------------------------------------------------------

    def check_options(self, options: Sequence[str]) -> None:
        for option in options:
            raise CannotStart(f"{option}: this machine has no options of its own")

    def start(self, launch: Launch) -> Process:
        start = self._start
        return spawn.in_own_thread(lambda: start(launch)) if launch.nice else start(launch)

    def _start(self, launch: Launch) -> Process:
        self.check_options(launch.options)
        self._refuse_foreign()
        file = self.workspace.output_file(launch.job, launch.attempt)
        try:
            output = spawn.open_output(file)
        except OSError as error:
            raise failures.output_failure(file.path, error) from error
        try:
            pid = self._spawn(launch, output)
            return Child(pid, launch.token, self._survey, heap.own_peak_kb())
        except CannotStart as error:
            with contextlib.suppress(OSError):
                os.write(output, f"jobd: {failures.told_there(launch, str(error))}\n".encode())
            raise
        finally:
            _close(output)
            if spawn.has_own_directory():
                spawn.leave()

    def _refuse_foreign(self) -> None:
        """A job opens its `JOBD_PROGRESS` by the path: it would write through a stranger's link."""
        try:
            self.workspace.progress.now(make=True)
        except Foreign as error:
            raise NoResources(f"progress: {error.strerror}") from error
        except OSError:
            return  # it cannot report, that is all

    def _spawn(self, launch: Launch, output: int) -> int:
        program = None if launch.script is None else self._written(launch, launch.script)
        if not launch.stdin:
            return self._spawn_with(launch, program, self._stdin, output)
        stdin = spawn.open_stdin(launch.stdin)
        try:
            return self._spawn_with(launch, program, stdin, output)
        finally:
            _close(stdin)

    def _written(self, launch: Launch, script: bytes) -> Program:
        # Closed before the spawn has its turn: no child of another spawn holds it open then,
        # which would make it a busy text file.
        try:
            return spawn.write_program(self._script_file(launch), script)
        except OSError as error:
            raise failures.failure("script", error) from error

    def _spawn_with(self, launch: Launch, program: Program | None, stdin: int, output: int) -> int:
        script = None if program is None else os.fsencode(program.path)
        go = spawn.prepare(launch, script, stdin, output, self._table.mark)
        with self._turn:
            if self._closed:
                raise NoResources("the daemon is being closed")
            try:
                self._table.intend(launch.slot, launch.token, self._supervisor)
            except OSError as error:
                raise NoResources(f"the run table: {failures.reason_of(error)}") from error
            failpoint("before-spawn")
            try:
                if program is not None:
                    program.refuse_replaced()
                pid = go()
            except (OSError, ValueError, CannotStart) as error:
                # Or it would be looked for among the children that others leave.
                self._table.withdraw(launch.slot)
                raise failures.not_spawned(launch, error) from error
            failpoint("after-spawn")
            self._table.spawned(launch.slot, pid)
        failpoint("after-run-table")
        if launch.nice:
            linux.nice_session(pid, launch.nice)
        return pid

    def _script_file(self, launch: Launch) -> File:
        return self.workspace.script_file(launch.job, launch.argv[0])

    def signal(self, orders: Sequence[tuple[Process, int]]) -> None:
        census = self._survey.take()
        for process, number in orders:
            assert isinstance(process, LocalProcess)
            process.signal_all(number, census)

    def usage(self, processes: Sequence[Process]) -> Sequence[Usage]:
        return usages(processes, self._survey)

    def gpus(self) -> Sequence[Gpu] | None:
        return self._survey.gpus.all()

    def look_no_more(self) -> None:
        self._survey.gpus.close()

    def freeze(self) -> None:
        self._survey.gpus.end()
        self._turn.acquire()
        self._frozen = True

    # --- recovery -------------------------------------------------------------------------

    def recover(self, attempts: Sequence[Attempt]) -> dict[str, Process | Fate]:
        """Those whose pid is known first: who is left then belongs to a half-started one."""
        slots = {attempt.token: attempt.slot for attempt in attempts}
        lines = {token: self._table.find(slot, token) for token, slot in slots.items()}
        order = sorted(slots, key=lambda token: not (lines[token] and lines[token].pid))  # type: ignore[union-attr]
        found = {token: self._recover(token, lines[token]) for token in order}
        self._table.clear()
        for token, fate in found.items():
            line = lines[token]
            if fate is not Fate.NEVER_STARTED and (line is None or not line.pid):
                pid = None if isinstance(fate, Fate) else fate.pid
                self._table.settle(slots[token], token, pid, self._supervisor)
        self._table.begin()
        if self._link is not None:
            # One that is nobody's child is never announced, and whoever gets its number may be.
            children = {pid for pid, one in self._adopted.items() if isinstance(one, Adopted)}
            self._link.settle(children)
            for token in self._inherited.pidfds:
                # Of an attempt whose end is on disk by now.
                self._link.let_go(token)
        return found

    def _recover(self, token: str, line: Line | None) -> Process | Fate:
        if not self._table.trusted:
            return self._found_by_token(token)
        if line is None:
            return Fate.NEVER_STARTED
        if not line.pid:
            return self._half_started(line)
        return self._known(line)

    def _known(self, line: Line) -> Process | Fate:
        if line.token in self._inherited.pidfds:
            return self._watch(line.pid, line.token)
        stat = linux.stat_of(line.pid)
        if stat is None or not line.earliest <= stat.start <= line.latest:
            return Fate.LOST
        return self._take(stat, line.token, line.floor_kb)

    def _take(self, stat: Stat, token: str, floor_kb: int = 0) -> Process | Fate:
        if stat.ppid == self._supervisor and self._link is not None:
            return self._adopt(stat.pid, token, floor_kb)
        return Fate.LOST if stat.state in "ZX" else self._watch(stat.pid, token)

    def _half_started(self, line: Line) -> Process | Fate:
        """The intent is there and no pid: it is a child of the supervisor, or it never was.

        Spawns take turns, so there is one such line at most, and one such child. It may have ended,
        or have dropped its environment by an exec, and then it shows no token.
        """
        if not self._table.begun:
            return Fate.NEVER_STARTED
        if self._supervisor not in (line.supervisor, line.daemon) or self._link is None:
            return self._found_by_token(line.token)
        children = [
            stat
            for stat in linux.children_of(self._supervisor)
            if stat.session == stat.pid and self._may_be_of(line, stat)
        ]
        tokens = {stat.pid: token_of(stat.pid) for stat in children}
        for pid, token in tokens.items():
            if token == line.token.encode():
                return self._adopt(pid, line.token, line.floor_kb)
        nameless = {pid for pid, token in tokens.items() if not token}
        # One in the run table has a name, also if its end is recorded and it was not reaped.
        unclaimed = nameless - self._adopted.keys() - self._table.pids() - {os.getpid()}
        if not unclaimed:
            return Fate.NEVER_STARTED
        if len(unclaimed) > 1:
            return Fate.LOST
        return self._adopt(unclaimed.pop(), line.token, line.floor_kb)

    def _may_be_of(self, line: Line, stat: Stat) -> bool:
        """Whether it began after the intent, and not after the death of who meant to start it.

        Jobs leave orphans that lead a session, too, and go on doing so while no daemon lives.
        """
        last = None if self._link is None else self._link.last_daemon
        dead = last is not None and last[0] == line.daemon and last[1]
        return line.earliest <= stat.start and not (dead and stat.start > dead)

    def _found_by_token(self, token: str) -> Process | Fate:
        carriers = self._survey.take().members(token, None)
        leaders = [stat for stat in carriers if stat.session == stat.pid]
        if len(leaders) != 1:
            return Fate.LOST
        return self._take(leaders[0], token)

    def _adopt(self, pid: int, token: str, floor_kb: int) -> Process:
        assert self._link is not None
        pidfd = None
        # It goes without: as long as our supervisor does not reap it, its pid is nobody else's.
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
        # Where it is not known who spawned it, one like us has.
        floor = floor_kb or heap.own_peak_kb()
        process = Adopted(pid, token, self._survey, pidfd, self._link, floor)
        self._adopted[pid] = process
        return process

    def _watch(self, pid: int, token: str) -> Process | Fate:
        inherited = self._inherited.pidfds.pop(token, None)
        pidfd = pidfd_of(pid) if inherited is None else inherited
        if pidfd is None:
            return Fate.LOST
        if inherited is None and self._link is not None:
            self._link.hold(token, pidfd)
        used = self._inherited.used.get(token)
        process = self._adopted[pid] = Found(pid, token, self._survey, pidfd, used, self._link)
        return process

    def heritage(self) -> Heritage:
        """Handles of what is no child of this process, and what it has used so far."""
        held = [(one, fd) for one in self._adopted.values() if (fd := one.keep()) is not None]
        used = {one.token: one.leaders_usage()[:2] for one, _ in held}
        return Heritage({one.token: fd for one, fd in held}, msgspec.json.encode(used))

    def close(self) -> None:
        """A spawn that has begun is waited for: no other file is to get the number of its input."""
        with contextlib.nullcontext() if self._frozen else self._turn:
            if self._closed:
                return
            self._closed = True
            os.close(self._stdin)
            self._table.close()
        self._survey.gpus.close()
        for process in self._adopted.values():
            process.leave()
        for pidfd in self._inherited.pidfds.values():
            os.close(pidfd)
