"""The local engine: jobs are processes of this machine."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jobd.contract.directories import Foreign
from jobd.contract.states import could_not_start
from jobd.core.transitions import without_paths
from jobd.engines.base import CannotStart, Fate, Launch, NoResources, Process, Script
from jobd.engines.local import spawn
from jobd.engines.local.process_snapshot import Survey, token_of
from jobd.engines.local.processes import Adopted, Child, Found, LocalProcess, Used
from jobd.engines.local.run_table import Board, Line
from jobd.engines.local.spawn import Program
from jobd.engines.local.supervisor_link import Link
from jobd.system import linux
from jobd.system.failpoints import failpoint
from jobd.system.linux import Stat

_NO_ROOM: Final = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
)
"""Errors that say nothing about the command; it is tried again."""
_IN_THE_WAY: Final = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ETXTBSY})
"""Something else than a file is where an output should be."""


def _failure(about: str, error: OSError) -> CannotStart | NoResources:
    kind = NoResources if error.errno in _NO_ROOM else CannotStart
    return kind(f"{about}: {_reason(error)}")


def _reason(error: OSError) -> str:
    """What it names stays as it is: paths and logins may have capitals."""
    said = error.strerror or str(error)
    return said if isinstance(error, Foreign) else said.lower()


def _not_spawned(
    launch: Launch, error: OSError | ValueError | CannotStart
) -> CannotStart | NoResources:
    if isinstance(error, OSError):
        return _failure(launch.argv[0].decode("utf-8", "replace"), error)
    return CannotStart(str(error))


def _told_there(launch: Launch, why: str) -> str:
    """Viewers read the output, too, and are not to know what is a job's script or input."""
    reason = could_not_start(why)
    return without_paths(reason) if launch.stdin or launch.script else reason


def _output_failure(path: str, error: OSError) -> CannotStart | NoResources:
    """Errors of the directory concern all jobs; only what stands in the file's place does not."""
    kind = CannotStart if error.errno in _IN_THE_WAY else NoResources
    return kind(f"output: {path}: {_reason(error)}")


def _pidfd(pid: int) -> int | None:
    """None: it is gone. Raises: OSError, as `linux.stat_of`."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in linux.SHORTAGES:
            raise
        return None


def _close(descriptor: int) -> None:
    """A file server tells of a full quota even now; what has started has started all the same."""
    with contextlib.suppress(OSError):
        os.close(descriptor)


class LocalEngine:
    """Starts jobs, from any thread, and finds those that earlier daemons started.

    Promises that an attempt starts at most once, whatever dies in between: before a spawn its
    intent is on the board, and behind it the pid.
    """

    def __init__(self, board: Path, link: Link | None) -> None:
        """`link` None: there is no supervisor (a daemon inside a test)."""
        self._board = Board(board)
        self._link = link
        self._survey = Survey()
        self._supervisor = os.getppid()
        self._turn = threading.Lock()
        self._stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._adopted: dict[int, Adopted | Found] = {}

    # --- starting -------------------------------------------------------------------------

    def start(self, launch: Launch) -> Process:
        if launch.nice:
            return spawn.in_own_thread(lambda: self._start(launch))
        return self._start(launch)

    def _start(self, launch: Launch) -> Process:
        try:
            output = spawn.open_output(launch.output)
        except OSError as error:
            raise _output_failure(launch.output.path, error) from error
        try:
            return Child(self._spawn(launch, output), launch.token, self._survey)
        except CannotStart as error:
            with contextlib.suppress(OSError):
                os.write(output, f"jobd: {_told_there(launch, str(error))}\n".encode())
            raise
        finally:
            _close(output)
            if spawn.has_own_directory():
                os.chdir("/")  # an idle worker must not keep a file system from being unmounted

    def _spawn(self, launch: Launch, output: int) -> int:
        program = None if launch.script is None else self._written(launch.script)
        if not launch.stdin:
            return self._spawn_with(launch, program, self._stdin, output)
        stdin = spawn.open_stdin(launch.stdin)
        try:
            return self._spawn_with(launch, program, stdin, output)
        finally:
            _close(stdin)

    def _written(self, script: Script) -> Program:
        # Closed before the spawn has its turn: no child of another spawn holds it open then,
        # which would make it a busy text file.
        try:
            return spawn.write_program(script.file, script.content)
        except OSError as error:
            raise _failure("script", error) from error

    def _spawn_with(self, launch: Launch, program: Program | None, stdin: int, output: int) -> int:
        go = spawn.prepare(launch, stdin, output, self._board.mark)
        with self._turn:
            try:
                self._board.intend(launch.slot, launch.token, self._supervisor)
            except OSError as error:
                raise NoResources(f"the board: {(error.strerror or str(error)).lower()}") from error
            failpoint("before-spawn")
            try:
                if program is not None:
                    program.refuse_replaced()
                pid = go()
            except (OSError, ValueError, CannotStart) as error:
                # Or it would be looked for among the children that others leave.
                self._board.withdraw(launch.slot)
                raise _not_spawned(launch, error) from error
            failpoint("after-spawn")
            self._board.spawned(launch.slot, pid)
        failpoint("after-board")
        if launch.nice:
            linux.nice_session(pid, launch.nice)
        return pid

    def signal(self, orders: Sequence[tuple[Process, int]]) -> None:
        census = self._survey.take()
        for process, number in orders:
            assert isinstance(process, LocalProcess)
            process.signal_all(number, census)

    def freeze(self) -> None:
        """No spawn from now on: this process is about to become a supervisor."""
        self._turn.acquire()

    # --- recovery -------------------------------------------------------------------------

    def recover(self, attempts: dict[str, int]) -> dict[str, Process | Fate]:
        """Those whose pid is known first: who is left then belongs to a half-started one."""
        lines = {token: self._board.find(slot, token) for token, slot in attempts.items()}
        order = sorted(attempts, key=lambda token: not (lines[token] and lines[token].pid))  # type: ignore[union-attr]
        found = {token: self._recover(token, lines[token]) for token in order}
        self._board.clear()
        for token, fate in found.items():
            line = lines[token]
            if fate is not Fate.NEVER_STARTED and (line is None or not line.pid):
                pid = None if isinstance(fate, Fate) else fate.pid
                self._board.settle(attempts[token], token, pid, self._supervisor)
        self._board.begin()
        if self._link is not None:
            self._link.settle(set(self._adopted))
        return found

    def _recover(self, token: str, line: Line | None) -> Process | Fate:
        if not self._board.trusted:
            return self._found_by_token(token)
        if line is None:
            return Fate.NEVER_STARTED
        if not line.pid:
            return self._half_started(line)
        return self._known(line)

    def _known(self, line: Line) -> Process | Fate:
        pidfds = {} if self._link is None else self._link.pidfds
        if (pidfd := pidfds.pop(line.token, None)) is not None:
            return self._watch(line.pid, line.token, pidfd)
        stat = linux.stat_of(line.pid)
        if stat is None or not line.earliest <= stat.start <= line.latest:
            return Fate.LOST
        return self._take(stat, line.token)

    def _take(self, stat: Stat, token: str) -> Process | Fate:
        if stat.ppid == self._supervisor and self._link is not None:
            return self._adopt(stat.pid, token)
        return Fate.LOST if stat.state in "ZX" else self._watch(stat.pid, token)

    def _half_started(self, line: Line) -> Process | Fate:
        """The intent is there and no pid: it is a child of the supervisor, or it never was.

        Spawns take turns, so there is one such line at most, and one such child. It may have ended,
        or have dropped its environment by an exec, and then it shows no token.
        """
        if not self._board.begun:
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
                return self._adopt(pid, line.token)
        nameless = {pid for pid, token in tokens.items() if not token}
        # One that is on the board has a name, also if its end is recorded and it was not reaped.
        unclaimed = nameless - self._adopted.keys() - self._board.pids() - {os.getpid()}
        if not unclaimed:
            return Fate.NEVER_STARTED
        if len(unclaimed) > 1:
            return Fate.LOST
        return self._adopt(unclaimed.pop(), line.token)

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

    def _adopt(self, pid: int, token: str) -> Process:
        assert self._link is not None
        pidfd = None
        # It goes without: as long as our supervisor does not reap it, its pid is nobody else's.
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
        process = Adopted(pid, token, self._survey, pidfd, self._link)
        self._adopted[pid] = process
        return process

    def _watch(self, pid: int, token: str, pidfd: int | None = None) -> Process | Fate:
        pidfd = _pidfd(pid) if pidfd is None else pidfd
        if pidfd is None:
            return Fate.LOST
        used = None if self._link is None else self._link.used.get(token)
        self._adopted[pid] = Found(pid, token, self._survey, pidfd, used)
        return self._adopted[pid]

    def handles(self) -> dict[str, tuple[int, Used]]:
        return {
            process.token: (process.pidfd, process.sample())
            for process in self._adopted.values()
            if process.pidfd is not None
        }

    def close(self) -> None:
        os.close(self._stdin)
        self._board.close()
