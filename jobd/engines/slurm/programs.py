"""Slurm's programs as processes, each run beside whoever waits for it, and only for a time.

One may hang where not even KILL reaches it (state D: a dead file server), or before it has begun,
where it lies on such a one itself. Then it keeps a thread and a process, and nobody else; and where
a few of them hang, no more are started until one of them has ended.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from io import FileIO
from typing import Final, NamedTuple

from jobd.engines.base import Away
from jobd.system import linux, spawning

_PATIENCE_S: Final = 30.0
"""Seconds after which nobody answers; the programs themselves try for nine."""
_MOST_HUNG: Final = 8
"""So many may hang before no more are started."""
DESCRIPTORS: Final = 3
"""Files that each keeps open here: what it is given, and what it says."""


class Said(NamedTuple):
    """How a program has ended."""

    code: int
    """Its exit code; a signal's number, negative."""
    stdout: bytes
    stderr: bytes


class _Run:
    """Whoever changes it does so under the lock of its `Programs`."""

    def __init__(self, command: Sequence[str], given: bytes) -> None:
        self.command = command
        self.given = given
        self.said = Future[Said]()
        self.pid = 0
        """While it is nobody else's; 0: it has not begun, or was reaped."""
        self.is_hung = False
        """Nobody waits for it any more."""

    def kill(self) -> None:
        """With what it has started."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


class Programs:
    """Any thread may run one. No lock is held while it runs."""

    def __init__(self, directory: str) -> None:
        """`directory`: where they lie; empty: as PATH finds them."""
        self._directory = directory
        self._lock = threading.Lock()
        self._hung = 0

    def run(self, *command: str, given: bytes, environment: Mapping[str, str]) -> Said:
        """`command`: its name and arguments. `given`: what it reads.

        Raises: Away (it cannot be run, or does not answer).
        """
        with self._lock:
            if self._hung >= _MOST_HUNG:
                raise Away(f"{self._hung} of Slurm's programs hang, not even KILL ends them")
        run = _Run(command, given)
        try:
            threading.Thread(
                target=self._work, args=[run, environment], name="slurm program", daemon=True
            ).start()
            return run.said.result(_PATIENCE_S)
        except TimeoutError:
            self._give_up(run)
            raise Away(f"{command[0]} has not answered within {_PATIENCE_S:.0f} s") from None
        except RuntimeError as error:
            raise Away(f"{command[0]} cannot be run: no thread is left for it") from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise Away(f"{command[0]} cannot be run: {reason}") from error

    def _give_up(self, run: _Run) -> None:
        with self._lock:
            if not run.said.done():
                run.is_hung = True
                self._hung += 1
                run.kill()

    # --- the thread of a run ----------------------------------------------------------------------

    def _work(self, run: _Run, environment: Mapping[str, str]) -> None:
        # Whoever waits may stand in a job's directory, which may be on a dead file server.
        if linux.unshare_fs():
            os.chdir("/")
        try:
            said: Said | BaseException = self._said(run, environment)
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            said = error
        with self._lock:
            self._hung -= run.is_hung
            if isinstance(said, Said):
                run.said.set_result(said)
            else:
                run.said.set_exception(said)

    def _said(self, run: _Run, environment: Mapping[str, str]) -> Said:
        """Raises: OSError."""
        program = self._found(run.command[0], environment)
        argv = [os.fsencode(word) for word in run.command]
        variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        # No pipes: nobody has to fill and empty them, and what it leaves behind does not hold them.
        with _memory(run.given) as given, _memory() as output, _memory() as errors:
            descriptors = given.fileno(), output.fileno(), errors.fileno()
            pid = spawning.spawn_helper(program, argv, variables, *descriptors)
            with self._lock:
                run.pid = pid
                if run.is_hung:
                    run.kill()
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            with self._lock:
                run.pid = 0
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return Said(code, _all_of(output), _all_of(errors))

    def _found(self, name: str, environment: Mapping[str, str]) -> bytes:
        """Raises: FileNotFoundError."""
        if self._directory:
            return os.fsencode(os.path.join(self._directory, name))
        found = shutil.which(name, path=environment.get("PATH"))
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return os.fsencode(found)


def _memory(content: bytes = b"") -> FileIO:
    """A file without a path, to be read from its begin. Raises: OSError."""
    file = open(linux.memory_file(b"program", content), "r+b", buffering=0)  # noqa: SIM115
    file.seek(0)
    return file


def _all_of(file: FileIO) -> bytes:
    file.seek(0)
    return file.readall()
